# Asks a server started from the arguments twenty questions, waiting for each answer.
import json, os, subprocess, sys

os.chdir(sys.argv[1])
server = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
answers = 0
for number in range(20):
    question = {"jsonrpc": "2.0", "id": number, "method": "ping"}
    server.stdin.write(json.dumps(question).encode() + b"\n")
    server.stdin.flush()
    answers += json.loads(server.stdout.readline())["id"] == number
server.stdin.close()
rest = server.stdout.read()
assert rest == b"", rest
print("answers", answers)
print("exit", server.wait(20))
