import java.net.*;

/** Looks names up by InetAddress and tries what it finds. Arguments: a port, names. */
class Lookup {
    public static void main(String[] words) throws Exception {
        for (int i = 1; i < words.length; i++) {
            int four = 0, six = 0, answered = 0;
            InetAddress[] found = {};
            try {
                found = InetAddress.getAllByName(words[i]);
            } catch (UnknownHostException nothing) {
            }
            for (InetAddress one : found) {
                if (one instanceof Inet4Address) four++; else six++;
                try (Socket s = new Socket(Proxy.NO_PROXY)) {
                    s.connect(new InetSocketAddress(one, Integer.parseInt(words[0])), 20000);
                    s.getOutputStream().write("GET /lookup HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".getBytes());
                    if (s.getInputStream().read() >= 0) answered++;
                } catch (java.io.IOException refused) {
                }
            }
            System.out.printf("%s: %d %d, %d answered%n", words[i], four, six, answered);
        }
    }
}
