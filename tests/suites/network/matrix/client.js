// Node's ways to a server. Arguments: which way, the host, the port.
const [way, host, port] = process.argv.slice(-3);
const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
const show = (data) => process.stdout.write(String(data));
const fail = (error) => { console.error(error.code ?? error.cause?.code ?? error.message); process.exit(1); };
const body = (response) => response.on("data", show).on("error", fail);

const ways = {
  fetch: () => fetch(`http://${authority}/`).then((answer) => answer.text()).then(show).catch(fail),
  http: () => require("http").get(`http://${authority}/`, body).on("error", fail),
  https: () => require("https").get(`https://${authority}/`, { rejectUnauthorized: false }, body).on("error", fail),
  net: () => require("net").connect(Number(port), host).on("data", show).on("error", fail),
  http2: () => {
    const session = require("http2").connect(`http://${authority}`).on("error", fail);
    session.request({ ":path": "/" }).on("data", show).on("end", () => session.destroy()).on("error", fail).end();
  },
};
setTimeout(() => fail(new Error("no answer")), 12000).unref();
ways[way]();
