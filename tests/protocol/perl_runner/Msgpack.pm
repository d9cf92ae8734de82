# The part of msgpack that the protocol uses (SPEC 2.2). Bytes are a Bytes object, booleans JSON::PP's.
package Msgpack;
use strict;
use warnings;
use B ();
use Encode ();
use JSON::PP ();

sub pack_value {
    my ($value) = @_;
    return "\xc0" unless defined $value;
    if (my $kind = ref $value) {
        return $value ? "\xc3" : "\xc2" if $kind eq 'JSON::PP::Boolean';
        return head(length $$value, undef, 0, 0xc4, 0xc5, 0xc6) . $$value if $kind eq 'Bytes';
        return join '', head(scalar @$value, 0x90, 16, undef, 0xdc, 0xdd), map { pack_value($_) } @$value
            if $kind eq 'ARRAY';
        my @keys = sort keys %$value;
        return join '', head(scalar @keys, 0x80, 16, undef, 0xde, 0xdf),
            map { pack_value("$_") . pack_value($value->{$_}) } @keys;
    }
    my $flags = B::svref_2object(\$value)->FLAGS;
    if (!($flags & B::SVf_POK)) {
        return "\xcb" . pack 'd>', $value if !($flags & B::SVf_IOK);
        return $value >= 0 && $value < 128 ? pack 'C', $value : "\xd3" . pack 'q>', $value;
    }
    my $text = Encode::encode('UTF-8', $value);
    return head(length $text, 0xa0, 32, 0xd9, 0xda, 0xdb) . $text;
}

sub head {
    my ($size, $fix, $limit, @wide) = @_;
    return pack 'C', $fix | $size if defined $fix && $size < $limit;
    return pack 'CC', $wide[0], $size if defined $wide[0] && $size < 256;
    return pack 'Cn', $wide[1], $size if $size < 65536;
    return pack 'CN', $wide[2], $size;
}

# The value at the front of $_[0], which is shortened by it. Dies if there is none.
sub take {
    my $type = ord bite($_[0], 1);
    return $type if $type < 0x80;
    return map_of($type & 15, $_[0]) if $type < 0x90;
    return list_of($type & 15, $_[0]) if $type < 0xa0;
    return text_of($type & 31, $_[0]) if $type < 0xc0;
    return $type - 256 if $type >= 0xe0;
    return undef if $type == 0xc0;
    return $type == 0xc3 ? JSON::PP::true() : JSON::PP::false() if $type == 0xc2 || $type == 0xc3;
    my %numbers = (
        0xca => ['f>', 4], 0xcb => ['d>', 8], 0xcc => ['C', 1], 0xcd => ['n', 2], 0xce => ['N', 4],
        0xcf => ['Q>', 8], 0xd0 => ['c', 1], 0xd1 => ['s>', 2], 0xd2 => ['l>', 4], 0xd3 => ['q>', 8],
    );
    if (my $number = $numbers{$type}) {
        return unpack $number->[0], bite($_[0], $number->[1]);
    }
    my $size = sub { unpack $_[1] == 1 ? 'C' : $_[1] == 2 ? 'n' : 'N', bite($_[0], $_[1]) };
    return bless \(my $bytes = bite($_[0], $size->($_[0], 1 << ($type - 0xc4)))), 'Bytes'
        if $type >= 0xc4 && $type <= 0xc6;
    return text_of($size->($_[0], 1 << ($type - 0xd9)), $_[0]) if $type >= 0xd9 && $type <= 0xdb;
    return list_of($size->($_[0], 2 << ($type - 0xdc)), $_[0]) if $type == 0xdc || $type == 0xdd;
    return map_of($size->($_[0], 2 << ($type - 0xde)), $_[0]) if $type == 0xde || $type == 0xdf;
    die sprintf "no value begins with %02x\n", $type;
}

sub bite { length $_[0] >= $_[1] ? substr $_[0], 0, $_[1], '' : die "the value ends early\n" }
sub text_of { Encode::decode('UTF-8', bite($_[1], $_[0]), Encode::FB_CROAK) }
sub list_of { my @list; push @list, take($_[1]) for 1 .. $_[0]; \@list }
sub map_of { my %map; for (1 .. $_[0]) { my $key = take($_[1]); $map{$key} = take($_[1]) } \%map }

1;
