// Java's ways to a server. Arguments: which way, then for each column its name, host and port: one
// virtual machine for all of them.
import java.io.InputStream;
import java.net.*;

public class Client {
    public static void main(String[] words) throws Exception {
        for (int at = 1; at + 2 < words.length; at += 3) {
            System.out.println("== " + words[at]);
            String host = words[at + 1];
            int port = Integer.parseInt(words[at + 2]);
            try (InputStream answer = open(words[0], host, port)) {
                System.out.println(new String(answer.readAllBytes(), "ISO-8859-1"));
            } catch (java.io.IOException error) {
                System.out.println(error);
            }
        }
    }

    static InputStream open(String way, String host, int port) throws java.io.IOException {
        if (way.equals("url")) {
            return new URL("http://" + host + ":" + port + "/").openConnection().getInputStream();
        }
        if (way.equals("direct")) {
            return new URL("http://" + host + ":" + port + "/").openConnection(Proxy.NO_PROXY).getInputStream();
        }
        Socket stream = new Socket(Proxy.NO_PROXY);
        stream.connect(new InetSocketAddress(host, port), 8000);
        stream.getOutputStream().write("GET / HTTP/1.0\r\n\r\n".getBytes());
        return stream.getInputStream();
    }
}
