#!/bin/bash
# try.sh BUILD FOLDER: two private instances on free loopback ports, without root. Mail is submitted to
# the first, waits there while the second is down, is relayed, and is delivered into Maildirs. Then it
# says how to talk to them, and stays until Ctrl-C.  Called by `./bootstrap try`.
set -eu
build=$1
folder=$2
interactive=1
[ "${TRY_ONCE:-}" = yes ] && interactive=0

if [ -z "${TRY_INSTALLED:-}" ]; then
    # Root plays an ordinary user, in a place that such a user can reach.
    [ "$(id -u)" != 0 ] || folder=$(mktemp -d /tmp/posthouse-try-XXXXXX)
    rm -rf "$folder"
    mkdir -p "$folder"
    make -C "$build" install DESTDIR="$folder/root" >"$folder/install.log" 2>&1 || { tail "$folder/install.log"; exit 1; }
    export TRY_INSTALLED=yes
    if [ "$(id -u)" = 0 ]; then
        chmod 755 "$folder"
        chown nobody: "$folder"
        cp "$0" "$folder/try.sh"
        cd "$folder"
        status=0
        setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups bash "$folder/try.sh" "$build" "$folder" || status=$?
        rm -rf "$folder"
        exit $status
    fi
fi
root=$folder/root/usr
export PATH="$root/sbin:$root/bin:$PATH"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '\033[2m$ %s\033[0m\n' "$*"; "$@"; }

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

instance() { # NAME PORT NEXT-HOST-OR-EMPTY: writes its configuration
    local name=$1 port=$2 next=$3 dir=$folder/$1
    mkdir -p "$dir/etc" "$dir/spool" "$dir/mail"
    mkdir -m 700 "$dir/data"
    cat >"$dir/etc/main.cf" <<CF
compatibility_level = 3.11
myhostname = $name.test.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = $dir/spool
data_directory = $dir/data
daemon_directory = $root/libexec/posthouse
command_directory = $root/sbin
maillog_file = $dir/mail.log
alias_maps =
local_recipient_maps =
smtpd_peername_lookup = no
smtp_host_lookup = native
minimal_backoff_time = 2s
maximal_backoff_time = 10s
relayhost = $next
CF
    [ -n "$next" ] || cat >>"$dir/etc/main.cf" <<CF
virtual_mailbox_domains = example.com
virtual_mailbox_maps = inline:{ { friend@example.com = friend/ } }
virtual_mailbox_base = $dir/mail
virtual_uid_maps = static:$(id -u)
virtual_gid_maps = static:$(id -g)
virtual_minimum_uid = 1
CF
    cat >"$dir/etc/master.cf" <<CF
127.0.0.1:$port inet n - n - - smtpd
pickup    unix  n - n 60  1 pickup
qmgr      unix  n - n 300 1 qmgr
smtp      unix  - - n -   - smtp
relay     unix  - - n -   - smtp
lmtp      unix  - - n -   - lmtp
local     unix  - n n -   - local
virtual   unix  - n n -   - virtual
CF
}

stop_all() {
    trap - INT TERM EXIT
    say "Stopping"
    for name in front back; do
        posthouse -c "$folder/$name/etc" stop >/dev/null 2>&1 || true
    done
}

wait_for() { # SECONDS COMMAND...: until it succeeds
    local turns=$(($1 * 20))
    shift
    while ! "$@" >/dev/null 2>&1; do
        turns=$((turns - 1))
        [ $turns -gt 0 ] || { echo "this did not happen: $*" >&2; tail -20 "$folder"/*/mail.log >&2; return 1; }
        sleep 0.05
    done
}

queue_is_empty() { [ "$(posthouse -c "$1" status 2>/dev/null | wc -l)" -gt 0 ] && mailq -c "$1" 2>/dev/null | grep -q 'Mail queue is empty'; }
delivered() { [ "$(find "$folder/back/mail" -path '*/new/*' -type f | wc -l)" -ge "$1" ]; }

front=$(free_port)
back=$(free_port)
instance front "$front" "[127.0.0.1]:$back"
instance back "$back" ""
trap 'stop_all; exit 130' INT TERM
trap stop_all EXIT

say "1. A private instance, checked and started"
show posthouse -c "$folder/front/etc" check
show posthouse -c "$folder/front/etc" start

say "2. Mail comes in: one over SMTP, one by the sendmail command"
python3 - "$front" <<'PY'
import smtplib, sys
with smtplib.SMTP("127.0.0.1", int(sys.argv[1])) as server:
    print(server.ehlo()[1].decode().replace("\n", " "))
    server.sendmail("you@example.org", ["friend@example.com"], "Subject: by SMTP\r\n\r\nHello from SMTP.\r\n")
PY
printf 'Subject: by sendmail\nTo: friend@example.com\n\nHello from sendmail.\n' |
    MAIL_CONFIG="$folder/front/etc" show sendmail -f you@example.org -t

say "3. The next host is down: it waits in the queue"
sleep 1
show mailq -c "$folder/front/etc"

say "4. The next host comes up: it is relayed and delivered"
show posthouse -c "$folder/back/etc" start
show posthouse -c "$folder/front/etc" flush
wait_for 20 delivered 2
wait_for 10 queue_is_empty "$folder/front/etc"
show mailq -c "$folder/front/etc"
for message in "$folder"/back/mail/friend/new/*; do
    printf '\033[2m%s\033[0m\n' "${message#"$folder"/}"
    sed 's/^/    /' "$message"
done

say "5. Its way in the logs"
grep -h -E 'status=|client=' "$folder"/front/mail.log "$folder"/back/mail.log | tail -6

say "Both are yours until Ctrl-C"
cat <<TEXT
  submit      swaks --server 127.0.0.1:$front --from you@example.org --to friend@example.com
  queue       MAIL_CONFIG=$folder/front/etc mailq      (PATH=$root/sbin:$root/bin:\$PATH)
  mailbox     ls $folder/back/mail/friend/new
  log         tail -f $folder/*/mail.log
  settings    $folder/front/etc/main.cf, then: posthouse -c $folder/front/etc reload
TEXT
[ $interactive = 0 ] || while sleep 3600; do :; done
