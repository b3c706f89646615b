# Runs a command on a new terminal, plays the steps read from standard input as JSON, and
# prints what came of it as JSON.
import fcntl, json, os, re, select, signal, struct, sys, termios, time

plan = json.load(sys.stdin)
master, slave = os.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
before = termios.tcgetattr(slave)

pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(slave, number)
    os.closerange(3, 256)
    os.chdir(plan["directory"])
    os.execve(plan["argv"][0], plan["argv"], plan["environment"])

transcript = b""
seen = 0
status = None


def reap():
    global status
    if status is None:
        done, code = os.waitpid(pid, os.WNOHANG)
        if done:
            status = code


def take(seconds):
    global transcript
    ready, _, _ = select.select([master], [], [], seconds)
    if ready:
        try:
            transcript += os.read(master, 65536)
        except OSError:
            time.sleep(seconds)


def play():
    global seen
    asked = 0
    for number, (kind, value) in enumerate(plan["steps"]):
        if kind == "expect":
            end = time.monotonic() + plan["limit"]
            while (found := transcript.find(value.encode(), seen)) < 0:
                if time.monotonic() > end:
                    return "step %d: no %r" % (number, value)
                take(0.05)
            seen = found + len(value.encode())
            if "wants to reach" in value:
                asked = found
        elif kind == "send":
            if "{code}" in value:
                end = time.monotonic() + plan["limit"]
                while not (codes := re.findall(rb"`o (\d{3})`", transcript[asked:])):
                    if time.monotonic() > end:
                        return "step %d: no code" % number
                    take(0.05)
                value = value.replace("{code}", codes[-1].decode())
            os.write(master, value.encode())
        elif kind == "resize":
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", value[0], value[1], 0, 0))
        elif kind == "pause":
            end = time.monotonic() + value
            while time.monotonic() < end:
                take(0.02)
        elif kind == "signal":
            os.kill(pid, getattr(signal, "SIG" + value))
        elif kind == "end":
            end = time.monotonic() + plan["limit"]
            while status is None:
                reap()
                if time.monotonic() > end:
                    return "step %d: it does not end" % number
                take(0.02)
    return None


failure = play()
after = termios.tcgetattr(slave)
reap()
if status is None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    code = None
else:
    code = os.waitstatus_to_exitcode(status)
print(json.dumps({
    "failure": failure,
    "transcript": transcript.decode("utf-8", "backslashreplace"),
    "code": code,
    "modes_kept": before == after,
}))
