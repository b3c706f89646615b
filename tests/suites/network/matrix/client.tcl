# Tcl's socket. Arguments: the host, the port.
set stream [socket [lindex $argv 0] [lindex $argv 1]]
puts [read $stream]
