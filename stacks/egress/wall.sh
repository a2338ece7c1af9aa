#!/bin/sh
# Turns every TCP connection that does not stay inside the stack to the sink, and refuses everything else at once.
#
# Web and database share this network namespace. Without the rules below a connection to a foreign address would end
# in "network unreachable" and nobody would know of it; with them the sink reads the original address and logs it.
set -eu

OWN=$(ip -4 -o addr show dev eth0 | awk '{ split($4, a, "/"); print a[1]; exit }')

# Addresses that production's database is reached at must lead here.
for address in ${LOCAL_ADDRESSES:-}; do
    ip addr add "$address/32" dev lo
done

# A local default route makes every address but the own network answer here, and UDP without a listener is
# refused at once instead of timing out.
ip route replace local default dev lo table main

# Debian's default is nft; a kernel without nf_tables still has the old tables.
IPTABLES=iptables-nft
$IPTABLES -w -t nat -L OUTPUT -n >/dev/null 2>&1 || IPTABLES=iptables-legacy

for address in ${LOCAL_ADDRESSES:-}; do
    $IPTABLES -w -t nat -A OUTPUT -d "$address" -j RETURN
done
$IPTABLES -w -t nat -A OUTPUT -p udp --dport 53 ! -d 127.0.0.11 -j REDIRECT --to-ports 15053
$IPTABLES -w -t nat -A OUTPUT -p tcp --dport 53 ! -d 127.0.0.11 -j REDIRECT --to-ports 15053
$IPTABLES -w -t nat -A OUTPUT -d 127.0.0.0/8 -p tcp -m multiport --dports 25,465,587 -j REDIRECT --to-ports 15001
$IPTABLES -w -t nat -A OUTPUT -d 127.0.0.0/8 -j RETURN
$IPTABLES -w -t nat -A OUTPUT -d "$OWN" -j RETURN
$IPTABLES -w -t nat -A OUTPUT -p tcp -j REDIRECT --to-ports 15001

# What still would go out by the bridge (the machine itself, neighbours) is refused; answers, and what was turned to the
# sink above, pass.
$IPTABLES -w -A OUTPUT -o lo -j ACCEPT
$IPTABLES -w -A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED,DNAT -j ACCEPT
$IPTABLES -w -A OUTPUT -j REJECT

# Docker's own resolver would answer with container names; ours answers for the whole world.
echo "nameserver 127.0.0.1" >/etc/resolv.conf

export OWN
exec python3 -u /opt/egress/sink.py
