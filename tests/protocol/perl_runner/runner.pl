# The smallest runner (SPEC 11.1), in Perl and its core modules: one handler at a time, no capabilities.
use strict;
use warnings;
open(my $in, '<&', \*STDIN) && open(my $out, '>&', \*STDOUT) or die "no pipes: $!";
open(STDIN, '<', '/dev/null') && open(STDOUT, '>&', \*STDERR) or die "no guard: $!";
binmode $_ for $in, $out;
STDOUT->autoflush(1);

use FindBin;
use lib $FindBin::Bin;
use IO::Handle;
use JSON::PP ();
use MIME::Base64 ();
use Time::HiRes ();
use Msgpack;
use Scalar::Util qw(blessed);

my $MAX_FRAME = 16 * 1024 * 1024;
my $json = JSON::PP->new->utf8->allow_nonref->canonical;
my ($peer_max, $ready, $stopping, $next_id, @later, %steps) = ($MAX_FRAME, 0, 0, 0);

sub read_bytes {
    my ($size, $bytes) = ($_[0], '');
    while (length $bytes < $size) {
        my $got = sysread $in, $bytes, $size - length $bytes, length $bytes;
        exit 0 unless $got;    # end of file: the orchestrator is gone
    }
    return $bytes;
}

sub receive {
    my $size = unpack 'N', read_bytes(4);
    if ($size > $MAX_FRAME) {
        print STDERR "too_large: a frame of $size bytes was skipped\n";
        for (my $left = $size; $left > 0; $left -= 65536) { read_bytes($left < 65536 ? $left : 65536) }
        return receive();
    }
    my $body  = read_bytes($size);
    my $frame = eval { my $rest = $body; my $value = Msgpack::take($rest); die "bytes follow\n" if length $rest; $value };
    my $shape = ref $frame eq 'ARRAY' && @$frame ? $frame->[0] . @$frame : '';
    return $frame if $shape =~ /^(04|14|23)$/;
    print STDERR "protocol_error: ", unpack('H*', substr $body, 0, 60), " ", $@ || "is none of the shapes\n";
    exit 1;
}

sub send_frame {
    my $body = Msgpack::pack_value($_[0]);
    die { code => 'too_large', message => "a frame of " . length($body) . " bytes is over $peer_max" }
        if length $body > $peer_max;
    my $bytes = pack('N', length $body) . $body;
    while (length $bytes) { substr $bytes, 0, syswrite($out, $bytes) // exit(0), '' }
}

sub holds_bytes {
    my ($value) = @_;
    return 1 if ref $value eq 'Bytes';
    return grep { holds_bytes($_) } @$value if ref $value eq 'ARRAY';
    return ref $value eq 'HASH' && grep { holds_bytes($_) } values %$value;
}

sub plain {    # bytes as base64, where only JSON can be (SPEC 4.7)
    my ($value) = @_;
    return MIME::Base64::encode_base64($$value, '') if ref $value eq 'Bytes';
    return [map { plain($_) } @$value] if ref $value eq 'ARRAY';
    return ref $value eq 'HASH' ? { map { $_ => plain($value->{$_}) } keys %$value } : $value;
}

sub bytes { bless \(my $copy = $_[0]), 'Bytes' }

sub payload {
    my ($value) = @_;
    return ['bytes', $value] if ref $value eq 'Bytes';
    return ['msgpack', bytes(Msgpack::pack_value($value))] if holds_bytes($value);
    return ['json', bytes($json->encode($value))];
}

sub native {
    my ($format, $bytes) = @{ $_[0] // return undef };
    return $bytes if $format eq 'bytes';
    my $data = $$bytes;
    return $json->decode($data) if $format eq 'json';
    return $format eq 'text' ? Encode::decode('UTF-8', $data) : Msgpack::take($data);
}

# --- what a handler gets

sub request {
    my ($scope, $method, %params) = @_;
    die { code => 'unknown_scope', message => "$method came after its handler had finished" } unless $scope->{open};
    my $id = ++$next_id;
    send_frame([0, $id, $method, { scope => $scope->{id}, %params }]);
    while (1) {
        my $frame = receive();
        if ($frame->[0] != 1) { push @later, $frame; next }    # its turn comes when the handler is done
        die $frame->[2] if $frame->[2];
        return $frame->[3];
    }
}

sub emit {
    my ($scope, $topic, $data) = @_;
    return request($scope, 'emit', topic => $topic, data => payload($data))->{event};
}

sub log_record {
    my ($scope, $level, $message, $fields) = @_;
    send_frame([2, 'log', { scope => $scope->{id}, level => $level, message => $message,
        at => int(Time::HiRes::time() * 1000), $fields ? (fields => payload(plain($fields))) : () }]);
}

# --- the methods

sub failure {    # the error map of something that was thrown (SPEC 8)
    my ($thrown, $code) = @_;
    return { code => $code, %$thrown, ($thrown->{code} eq 'too_large' ? () : (code => $code)) } if ref $thrown eq 'HASH';
    my ($message, $file, $line) = $thrown =~ /^(.*?) at (\S+) line (\d+)/s ? ($1, $2, $3 + 0) : ($thrown, '', 0);
    my %place = (file => $file, line => $line);
    return { code => $code, message => $message, type => 'die', trace => "$thrown",
        frames => [{ %place, function => '' }], data => \%place };
}

my %methods = (
    initialize => sub {
        my ($params) = @_;
        my ($oldest, $newest) = @{ $params->{protocol} };
        die { code => 'unsupported_version', message => "this runner speaks 1 to 1, the orchestrator $oldest to $newest" }
            if $oldest > 1 || $newest < 1;
        ($ready, $peer_max) = (1, $params->{max_frame});
        my %runner = (name => 'perl', version => '1', language => 'perl', language_version => sprintf('%vd', $^V));
        return { protocol => 1, runner => \%runner, extensions => ['.pl'], max_frame => $MAX_FRAME, window => 1, capabilities => {} };
    },
    load => sub {
        my ($params) = @_;
        for my $field (qw(step path)) {
            die { code => 'invalid_params', message => "load needs $field" } unless defined $params->{$field};
        }
        local ($@, $!);
        my $step = do $params->{path};
        my %data = (data => { file => $params->{path} });
        die failure($@, 'load_failed') if $@;
        die { code => 'load_failed', message => "cannot be read: $!", %data } unless $step;
        die { code => 'load_failed', message => 'it has no config', %data } unless $step->{config};
        $steps{ $params->{step} }{ $params->{revision} } = $step;
        return { config => payload($step->{config}), exports => [grep { $step->{$_} } 'handler'] };
    },
    invoke => sub {
        my ($params, $id) = @_;
        die { code => 'shutting_down', message => 'this runner is stopping' } if $stopping;
        my $loaded = $steps{ $params->{step} } or die { code => 'unknown_step', message => "$params->{step} is not loaded" };
        my $step = $loaded->{ $params->{revision} }
            or die { code => 'stale_revision', message => "$params->{step} has no revision $params->{revision}" };
        my $handler = $step->{handler}
            or die { code => 'handler_failed', type => 'MissingHandler', message => "$params->{step} has no handler" };
        my ($kind, $input) = @$params{qw(kind input)};
        my $scope = { id => $id, open => 1, trace => (split /-/, $params->{trace})[1], attempt => $params->{attempt}, config => $step->{config} };
        my @input = $kind eq 'event' ? native($input->{data}) : $kind eq 'api' ? { %$input, body => native($input->{body}) } : ();
        my $result = eval { $handler->(@input, $scope) };
        my $thrown = $@;
        $scope->{open} = 0;
        die failure($thrown, 'handler_failed') if $thrown;
        return defined $result ? payload($result) : undef if $kind ne 'api';
        my $text = 'an API step returns {status => number, headers => {}, body => any}';
        die { code => 'handler_failed', type => 'InvalidResponse', message => $text }
            unless ref $result eq 'HASH' && ($result->{status} // '') =~ /^\d+$/;
        my $body = $result->{body};
        my $packed = !exists $result->{body} ? undef : ref $body eq 'Bytes' ? ['bytes', $body]
            : defined $body && !ref $body ? ['text', bytes(Encode::encode('UTF-8', $body))] : payload(plain($body));
        return { status => $result->{status} + 0, headers => $result->{headers} // {}, body => $packed };
    },
    shutdown => sub { $stopping = 1; undef },
    ping => sub { +{} },
);

while (1) {
    my ($kind, $id, $method, $params) = @{ @later ? shift @later : receive() };
    next if $kind != 0;
    my $serve = $methods{$method};
    my $answer = eval {
        die { code => 'not_initialized', message => "$method came before initialize" } if !$ready && $method ne 'initialize';
        die { code => 'unknown_method', message => "there is no method $method" } unless $serve;
        my $result = $serve->($params, $id);
        send_frame([1, $id, undef, $result]);
        1;
    };
    next if $answer;
    send_frame([1, $id, ref $@ eq 'HASH' ? $@ : failure($@, 'internal'), undef]);
}
