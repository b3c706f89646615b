# A small MCP server on standard streams: one JSON-RPC message a line.
import json, sys

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        print("note: " + message["method"], file=sys.stderr, flush=True)
        continue
    method, params = message["method"], message.get("params", {})
    if method == "initialize":
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "tiny", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [{"name": "write", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        try:
            with open(params["arguments"]["path"], "w") as file:
                file.write(params["arguments"]["text"])
            result = {"content": [{"type": "text", "text": "written"}]}
        except OSError as error:
            result = {"content": [{"type": "text", "text": error.strerror}], "isError": True}
    else:
        result = {}
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}, separators=(",", ":")) + "\n")
    sys.stdout.flush()
