# Perl's ways to a server. Arguments: which way, the host, the port.
use strict;
use warnings;
my ($way, $host, $port) = @ARGV;
if ($way eq 'inet') {
    require IO::Socket::INET;
    my $stream = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 8) or die "refused: $@";
    print {$stream} "GET / HTTP/1.0\r\n\r\n";
    print while <$stream>;
} else {
    require HTTP::Tiny;
    my %options = $way eq 'direct' ? (proxy => undef, http_proxy => undef) : ();
    my $answer = HTTP::Tiny->new(timeout => 8, %options)->get("http://$host:$port/");
    print "$answer->{status} $answer->{content}\n";
}
