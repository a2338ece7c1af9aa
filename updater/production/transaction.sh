#!/bin/sh
# The server's half of a promotion: staged closed drained dumped swapped migrated checked decided opened, all or nothing.
#
# It lies in <work>/runs/<run>/ beside its plan, is started detached, journals before and after every act, and undoes
# itself unless `confirm` wins the one atomic decision before the deadline. It knows no CMS: folders, gate files, tables
# and PHP scripts come as files of plan/, one entry a file, so that no name is ever parsed or evaluated.
#
# A replay (plan/replay) swaps in copies of what is there, and lets the shop's own updater write into them as the first step of the
# migration; what it wrote must be what was tested. Where the tables may not go back (plan/stays) and were written, neither do the
# files: such a run is *stopped*, as it stands, until a person says `back` or `keep`.
#
#   start     take the lock, stage while the shop is open, close, swap, migrate, wait for a decision
#   confirm   decide for the new shop; prints the decision that stands (`old` when it came too late)
#   reject    decide for the old shop (reason on stdin)
#   watch     the watchdog; also what the crontab line calls
#   recover   finish or undo what a dead run left, now; twice is the same as once
#   back      of a stopped run: bring tables and files back all the same
#   keep      of a stopped run: end it with the shop as it stands, and open
#   open      emergency: remove the gate and restore the crontab, whatever else is wrong
#   rollback  bring back the code of before, after opening (nothing migrated); `rollback discard` the tables too
#   forget    drop the copies of tables that were kept for that
#   report    the run's state, for the other half
#
# Who may act holds flock on actor.lock: a free lock means that the actor is gone (a pid or boot id proves nothing). A server
# without the program flock has PHP's: the lock belongs to the open file, which the shell goes on holding when PHP has ended.
# File descriptors: 9 actor.lock, 8 watch.lock, 7 job.lock. What runs long must not inherit 9 and 8.
set -u
umask 077
LC_ALL=C
export LC_ALL

RUN=$(cd -- "$(dirname -- "$0")" && pwd -P) || exit 70
NAME=${RUN##*/}
# By this the gate knows our own migration steps from any other command line PHP, which it turns away.
UPDATER_RUN=$NAME
export UPDATER_RUN
WORK=${RUN%/runs/*}
SHELL_PROGRAM=$(tr '\0' '\n' <"/proc/$$/cmdline" 2>/dev/null | sed -n 1p)
HELD='#updater-held# '
cd -- "$RUN" || exit 70

# ------------------------------------------------------------------------------------------------- small things

exists() { [ -e "$1" ] || [ -L "$1" ]; }

# VALUE: the file's bytes, trailing newlines included ($(…) alone would lose them).
load() {
    VALUE=$(cat -- "$1" && printf x) || return 1
    VALUE=${VALUE%x}
}

text() { load "$RUN/plan/$1" 2>/dev/null && printf %s "$VALUE"; }

load "$RUN/plan/docroot" || exit 70
DOCROOT=$VALUE
load "$RUN/plan/php" || exit 70
PHP=$VALUE

# LIVE: where a path of the release lies. A folder outside the docroot goes by a name below it.
locate() {
    located=$1 LIVE=$DOCROOT/$1
    for elsewhere in plan/elsewhere/*; do
        exists "$elsewhere/name" || continue
        load "$elsewhere/name"
        name=$VALUE
        case $located in
            "$name" | "$name"/*) load "$elsewhere/path" && LIVE=$VALUE${located#"$name"} ;;
        esac
    done
    VALUE=$located
}

now() { date +%s; }

stamp() {
    at=$(date +%s.%N)
    case $at in *[!0-9.]* | *.) date +%s ;; *) printf '%s\n' "$at" ;; esac
}

# POSIX sh cannot fsync: dd can, else everything is flushed.
append() {
    { printf '%s\n' "$2" | dd of="$1" oflag=append conv=notrunc,fsync 2>/dev/null; } || {
        printf '%s\n' "$2" >>"$1" && sync
    }
}

flush() { sync -- "$@" 2>/dev/null || sync; }

journal() {
    # A line torn by a crash must not swallow the next one.
    if [ -s journal ] && [ -n "$(tail -c 1 journal)" ]; then append journal '' || return 1; fi
    append journal "$(stamp) $(printf %s "$1" | tr '\n\r' '  ')" || return 1
}

begun() { grep -q "^[0-9.]* begin $1\$" journal 2>/dev/null; }
did() { grep -q "^[0-9.]* done $1\$" journal 2>/dev/null; }

# Why it was decided for old: the first reason is the cause, later ones are its consequences.
cause() {
    [ -n "$1" ] || return 0
    printf '%s\n' "$1" >"reason.$$" && ln "reason.$$" reason 2>/dev/null
    rm -f "reason.$$"
}

# What an act of ours failed at: perhaps the cause, and until the end what stands in its way.
because() {
    [ -n "$1" ] || return 0
    printf '%s\n' "$1" >latest
    cause "$1"
}

# Replace the file in one step: nobody ever reads half of it.
put() {
    cat >"$1.updater-$$" && chmod "$2" "$1.updater-$$" && flush "$1.updater-$$" && mv -f -- "$1.updater-$$" "$1"
}

# The PHP half: databases, hashes and HTTP. Its last line of output is the reason when it fails.
helper() {
    job "$PHP" -d display_errors=stderr -d allow_url_fopen=1 -d memory_limit=-1 -f "$RUN/transaction.php" -- "$RUN" "$@" \
        >"helper.out" 2>>log </dev/null && return 0
    code=$?
    because "$(tail -n 1 helper.out)"
    [ -s helper.out ] || because "$1 ended with exit code $code"
    return 1
}

# --------------------------------------------------------------------------------- processes that can be killed

# Run in a process group of its own, holding job.lock: while it is locked, job.pid is true.
job() {
    # shellcheck disable=SC2016  # the inner shell expands
    setsid sh -c 'if [ -n "$1" ]; then flock 7; else "$2" -n -r "$3" 7; fi && shift 3 && printf %s "$$" >job.pid && exec "$@"' \
        sh "$FLOCK" "$PHP" "$PHP_FLOCK" "$@" 7>>job.lock 8>&- 9>&-
}

FLOCK=$(command -v flock)
# -n: no php.ini, which could forbid it. A number is a file that this shell has open; -n after it does not wait.
# shellcheck disable=SC2016  # PHP's variables
PHP_FLOCK='exit(flock(fopen("php://fd/" . $argv[1], "a"), LOCK_EX | (isset($argv[2]) ? LOCK_NB : 0)) ? 0 : 1);'

# lock_now FD: take the lock on what is open there, or fail at once.
lock_now() {
    if [ -n "$FLOCK" ]; then flock -n "$1"; else "$PHP" -n -r "$PHP_FLOCK" "$1" now; fi
}

# In a shell of its own: the lock goes with it.
free() { (exec 6>>"$1" && lock_now 6) 8>&- 9>&-; }

# By doing, once: a second open file must be kept out while the first is held, and let in afterwards.
locks_hold() {
    (exec 5>>locks.try && lock_now 5 && ! free locks.try) && free locks.try
    locks_code=$?
    rm -f locks.try
    return "$locks_code"
}

kill_group() { kill -9 "-$1" 2>/dev/null || kill -9 "$1" 2>/dev/null; }

stop_jobs() {
    jobs_tried=0
    until free job.lock; do
        [ -s job.pid ] && kill_group "$(cat job.pid)"
        jobs_tried=$((jobs_tried + 1))
        [ "$jobs_tried" -lt 50 ] || { because 'a migration process cannot be killed'; return 1; }
        sleep 0.2 2>/dev/null || sleep 1
    done
}

become_actor() {
    exec 9>>actor.lock
    lock_now 9 || { exec 9>&-; return 1; }
    printf %s "$$" >actor.pid
}

no_actor() { exec 9>&-; }

# The pid is stale while somebody else takes the lock or only looks at it: never kill ourselves, never a stranger.
kill_actor() {
    actor_tried=0
    until free actor.lock; do
        actor=$(cat actor.pid 2>/dev/null)
        if [ -n "$actor" ] && [ "$actor" != "$$" ] && is_ours "$actor"; then kill_group "$actor"; fi
        actor_tried=$((actor_tried + 1))
        [ "$actor_tried" -lt 50 ] || return 1
        sleep 0.2 2>/dev/null || sleep 1
    done
}

is_ours() { [ ! -e /proc/self/cmdline ] || tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF "$RUN/transaction.sh"; }

# ----------------------------------------------------------------------------------------------- the decision

# One atomic create that either side wins; DECISION is what stands afterwards.
decide() {
    # Both files were made at the start: a link needs no space on a full disk.
    if ln "decision.$1" decided 2>/dev/null; then
        flush "$RUN"
        rm -f reserve
        journal "decided $1"
    fi
    DECISION=$(cat decided) || return 1
}

decision() { cat decided 2>/dev/null; }

expired() { [ "$(now)" -ge "$(cat deadline 2>/dev/null || echo 0)" ]; }

# -------------------------------------------------------------------------------------------------- the lock

owner_run() { sed -n 's/^run=//p' "$WORK/lock/owner" 2>/dev/null; }

lock() {
    if ! mkdir -- "$WORK/lock" 2>/dev/null; then
        other=$(owner_run)
        [ -n "$other" ] && [ -e "$WORK/runs/$other/finished" ] || return 1
        # A run that ended and was killed before it let go: its crontab line must not stay behind either.
        "${SHELL_PROGRAM:-sh}" ${APPLET:+"$APPLET"} "$WORK/runs/$other/transaction.sh" watch </dev/null >/dev/null 2>&1
        mkdir -- "$WORK/lock" 2>/dev/null || return 1
    fi
    { printf 'run=%s\n' "$NAME"; text owner; printf 'time=%s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"; } | put "$WORK/lock/owner" 600
    flush "$WORK/lock"
}

unlock() {
    [ "$(owner_run)" = "$NAME" ] || return 0
    rm -rf -- "$RUN/lock.released"
    mv -- "$WORK/lock" "$RUN/lock.released" && rm -rf -- "$RUN/lock.released"
}

# ------------------------------------------------------------------------------------------------ the crontab

restarter_line() { printf '* * * * * CRON=1 sh %s/transaction.sh watch >/dev/null 2>&1 # updater %s\n' "$(quoted "$RUN")" "$NAME"; }
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g; s/%/\\\\%/g")"; }

crontab_save() {
    exists crontab.saved || exists crontab.none || exists crontab.unusable || {
        if ! command -v crontab >/dev/null; then
            : >crontab.unusable
        elif crontab -l >crontab.tmp 2>crontab.err; then
            # It does not say when the disk took only half of it.
            if [ "$(crontab -l)" = "$(cat crontab.tmp)" ]; then mv crontab.tmp crontab.saved; else : >crontab.unusable; fi
        elif grep -qi 'no crontab' crontab.err; then
            : >crontab.none
        else
            : >crontab.unusable
        fi
    }
    flush "$RUN"
}

crontab_install() {
    exists crontab.unusable && { journal 'note no usable crontab: nothing restarts the watchdog'; return 0; }
    mark=
    [ "$1" != held ] || mark=$HELD
    { [ ! -e crontab.saved ] || awk 1 crontab.saved | sed "s/^/$mark/"; restarter_line; } >crontab.ours
    # A full disk takes the first lines only: somebody's crontab is whole or untouched.
    [ "$(tail -n 1 crontab.ours)" = "$(restarter_line)" ] && crontab crontab.ours 2>>log && return 0
    [ "$1" = held ] && return 1
    : >crontab.unusable
    journal 'note crontab refused: nothing restarts the watchdog'
}

# Their lines run again. Ours stays until all is done: who is killed before that must be started once more.
crontab_free() {
    exists crontab.unusable && return 0
    current=$(crontab -l 2>/dev/null)
    # In memory: it must give back every line on a full disk too.
    ! printf '%s\n' "$current" | grep -q "^$HELD" || printf '%s\n' "$current" | sed "s/^$HELD//" | crontab - 2>>log
}

crontab_restore() {
    exists crontab.unusable && return 0
    exists crontab.ours || return 0
    current=$(crontab -l 2>/dev/null)
    printf '%s\n' "$current" | grep -q -e "# updater $NAME\$" -e "^$HELD" || return 0
    merged=$(printf '%s\n' "$current" | sed "s/^$HELD//; /# updater $NAME\$/d")
    if [ -z "$merged" ] && [ -e crontab.none ]; then
        crontab -r 2>>log
    elif [ "$merged" = "$(cat crontab.saved 2>/dev/null)" ]; then
        crontab crontab.saved 2>>log
    else
        # Somebody edited it meanwhile: their lines stay, ours go.
        printf '%s\n' "$merged" | crontab - 2>>log
    fi
}

# --------------------------------------------------------------------------------------------------- the gate

# Put in place in the plan's order (the token's file comes first), removed in reverse.
gate_put() {
    for entry in plan/gate/*; do
        ! exists "$entry/kept" || keep_original "$entry" || return 1
        load "$entry/path" || return 1
        put "$DOCROOT/$VALUE" 644 <"$entry/content" || { because "cannot write the gate file $VALUE"; return 1; }
    done
    sync
    stands_in || return 0
    # opcache may go on serving the file that the gate stands in for.
    helper opcache
}

stands_in() { [ -n "$(find plan/gate -name kept 2>/dev/null)" ]; }

# A gate that stands in for a file of the shop: a second name for the original first, then one rename over the first name.
keep_original() {
    load "$1/path" && original=$DOCROOT/$VALUE
    load "$1/kept" && kept=$DOCROOT/$VALUE
    exists "$kept" && return 0
    ln -- "$original" "$kept" 2>>log && return 0
    # A file of another owner may not be linked.
    cp -p -- "$original" "$kept.updater-$$" 2>>log && mv -f -- "$kept.updater-$$" "$kept" && return 0
    because "cannot keep $VALUE"
    return 1
}

give_back() {
    load "$1/kept" && kept=$DOCROOT/$VALUE
    load "$1/path" && original=$DOCROOT/$VALUE
    rm -f -- "$original.updater-"* "$kept.updater-"*
    exists "$kept" || return 0
    # Died between the two names: a rename from one link to another of the same file does nothing.
    if cmp -s "$kept" "$original"; then rm -f -- "$kept" && return 0; fi
    if exists "$original" && ! cmp -s "$1/content" "$original"; then
        because "the gate file $VALUE was changed by somebody else"
        return 1
    fi
    mv -f -- "$kept" "$original" || { because "cannot put $VALUE back"; return 1; }
}

gate_remove() {
    begun closed || return 0
    last=$(find plan/gate -mindepth 1 -maxdepth 1 | sort -r)
    for entry in $last; do
        if exists "$entry/kept"; then
            give_back "$entry" || return 1
            continue
        fi
        load "$entry/path" || return 1
        rm -f -- "$DOCROOT/$VALUE.updater-"*
        exists "$DOCROOT/$VALUE" || continue
        # The gate's own account of whom it refused grew, and is read from here.
        if [ -e "$entry/grows" ]; then mv -f -- "$DOCROOT/$VALUE" refused; continue; fi
        cmp -s "$entry/content" "$DOCROOT/$VALUE" || { because "the gate file $VALUE was changed by somebody else"; return 1; }
        rm -f -- "$DOCROOT/$VALUE" || { because "cannot remove the gate file $VALUE"; return 1; }
    done
    [ -s opened-at ] || stamp >opened-at
    sync
}

# ------------------------------------------------------------------------------------------------- the states

stage() {
    for tool in setsid tar mv cp cmp sed grep find; do
        command -v "$tool" >/dev/null || { because "refused: the server has no $tool"; return 1; }
    done
    helper preflight || return 1
    purge_proven || return 1
    inodes=$(df -Pi -- "$RUN" 2>/dev/null | awk 'NR==2 && $4 ~ /^[0-9]+$/ {print $4}')
    # 0 free and 0 in all is a file system that counts no inodes (btrfs).
    if [ -n "$inodes" ] && [ "$inodes" -gt 0 ] && [ "$inodes" -lt "$(cat need-inodes)" ]; then
        because "refused: $inodes free inodes on the server, $(cat need-inodes) needed"
        return 1
    fi
    rm -rf -- new upload kind && mkdir -p new upload kind old || return 1
    if [ ! -e plan/replay ]; then
        job tar -xof archive.tar -C upload 2>>log || { because 'the uploaded archive cannot be unpacked'; return 1; }
    fi
    for entry in plan/units/*; do
        n=${entry##*/}
        load "$entry"
        locate "$VALUE"
        if exists "$LIVE"; then
            job cp -a -- "$LIVE" "new/$n" 2>>log || { because "cannot copy $VALUE"; return 1; }
        fi
    done
    helper stage || return 1
    for entry in plan/migrate/*.sql.gz; do
        [ -e "$entry" ] || continue
        client >/dev/null || { because 'refused: the server has neither mariadb nor mysql to load the backup with'; return 1; }
        job gzip -d "$entry" 2>>log || { because 'refused: the uploaded dump cannot be unpacked'; return 1; }
    done
    rm -rf -- upload archive.tar
    sync
    restarter_seen || return 1
    # Last: what others answer now is what the closed shop will meet.
    for entry in plan/ask/*.php; do
        [ ! -e "$entry" ] || ask "$entry" || return 1
    done
}

ask() {
    load "${1%.php}.name" && journal "note asking: $VALUE"
    run_step "$1" asked
}

# A watchdog that nothing restarts is a promise with a hole: wait until cron was seen to fire, where the plan asks it.
restarter_seen() {
    wait=$(text restarter)
    [ "${wait:-0}" -gt 0 ] && [ ! -e restarter-seen ] || return 0
    journal 'note waiting until cron was seen to start the watchdog, once in each minute'
    while [ ! -e restarter-seen ]; do
        if exists crontab.unusable || [ "$wait" -le 0 ]; then
            because 'refused: cron was not seen to start the watchdog, so nothing would start it again should the server kill it while the shop is closed; let cron run this crontab, or accept that in site.yml with promote: {without_restarter: true}'
            return 1
        fi
        [ ! -e decided ] || return 1
        wait=$((wait - 1))
        sleep 1
    done
}

close_shop() {
    echo $(($(now) + $(text deadline))) >deadline.tmp && mv deadline.tmp deadline && flush deadline
    stamp >closed-at
    exists crontab.unusable || crontab_install held || { because 'the crontab cannot be held'; return 1; }
    gate_put && stamp >gate-at
}

drain() { helper drain "$(text drain)"; }

client() { command -v mariadb || command -v mysql; }

dump() {
    helper copy || return 1
    [ -d dump-tables ] || return 0
    tool=$(command -v mariadb-dump || command -v mysqldump)
    if [ -e exact ] || [ -z "$tool" ] || ! client >/dev/null; then
        helper dump-tables || return 1
        way_back
        return
    fi
    set --
    for entry in dump-tables/*; do
        load "$entry"
        set -- "$@" "$VALUE"
    done
    load plan/database.name
    job "$tool" --defaults-extra-file="$RUN/plan/my.cnf" --single-transaction --hex-blob --triggers --no-tablespaces \
        --skip-lock-tables -- "$VALUE" "$@" >dump.sql 2>>log || { because 'the dump failed'; return 1; }
    tail -n 1 dump.sql | grep -q '^-- Dump completed' || { because 'the dump is not whole'; return 1; }
    way_back
}

# What is dumped needs room to be loaded back: set aside here, so that a disk that fills up meanwhile cannot keep the shop closed.
way_back() {
    flush dump.sql
    kilobytes=0
    for entry in dump.sql dump-tables/*; do
        # Twice the statements is the rows and their indexes; the least that a table takes is not a megabyte.
        kilobytes=$((kilobytes + 1024 + 2 * $(wc -c <"$entry") / 1024))
    done
    fallocate -l "$((kilobytes * 1024))" reserve.tables 2>/dev/null || dd if=/dev/zero of=reserve.tables bs=1024 count="$kilobytes" 2>>log ||
        { because 'no space is left to load the dumped tables back'; return 1; }
}

swap() {
    helper carry || return 1
    for entry in plan/units/*; do
        n=${entry##*/}
        load "$entry"
        locate "$VALUE"
        live=$LIVE
        kind=$(cat "kind/$n") || return 1
        if [ "$kind" != create ] && ! exists "old/$n"; then
            mv -- "$live" "old/$n" 2>>log || { because "cannot move $VALUE aside"; return 1; }
        fi
        if [ "$kind" != delete ] && exists "new/$n"; then
            exists "$live" && { because "$VALUE came back while it was swapped"; return 1; }
            mv -- "new/$n" "$live" 2>>log || { because "cannot put the new $VALUE in place"; return 1; }
        fi
    done
    sync
    side=new
    [ ! -e plan/replay ] || side=old
    helper verify "$side" && helper opcache || return 1
    [ ! -e plan/replay ] || helper outside || return 1
    # From the migration's beginning on, going back puts the copies back.
    [ ! -e plan/migration ] || helper unmoved
}

swap_back() {
    last=$(find plan/units -mindepth 1 -maxdepth 1 | sort -r)
    for entry in $last; do
        n=${entry##*/}
        load "$entry" || return 1
        locate "$VALUE"
        live=$LIVE
        kind=$(cat "kind/$n") || return 1
        if [ "$kind" = create ]; then
            if ! exists "new/$n" && exists "$live"; then mv -- "$live" "new/$n" 2>>log || return 1; fi
        elif exists "old/$n"; then
            if exists "$live"; then
                away=new/$n
                # Somebody made the path anew in the moment between two renames.
                if [ "$kind" = delete ] || exists "$away"; then mkdir -p stray && away=stray/$n.$$.$(now); fi
                mv -- "$live" "$away" 2>>log || { because "cannot move the new $VALUE aside"; return 1; }
            fi
            mv -- "old/$n" "$live" 2>>log || { because "cannot put the old $VALUE back"; return 1; }
        fi
    done
    sync
}

# Each step is a process of its own; exit 0 proves nothing, its answer does.
run_step() {
    job "$PHP" -d display_errors=stderr <"$1" >step.out 2>>log
    echo $? >step.code
    helper "${2:-answer}" "$(cat step.code)"
}

# The shop's own updater, in the closed shop: what it wrote is compared with what was tested, before anything else runs.
replay() {
    for entry in plan/replay/*.php; do
        load "${entry%.php}.name" || return 1
        journal "note replaying $VALUE"
        run_step "$entry" || { because "the replay $VALUE failed"; return 1; }
    done
    helper replayed && helper opcache
}

migrate() {
    if [ -e plan/replay ]; then replay || return 1; fi
    for entry in plan/migrate/*; do
        [ -e "$entry" ] || continue
        load "${entry%.php}.name" 2>/dev/null || VALUE=${entry##*/}
        case $entry in
            *.sql)
                journal 'note loading the tables'
                load_sql "$entry" 'the backup cannot be loaded' || return 1
                helper lost || journal 'note what is lost could not be exported: it stays in tables named updater_…c'
                # A cache of objects still holds the rows that were replaced.
                purge
                continue
                ;;
            *.php) ;;
            *) continue ;;
        esac
        journal "note migration $VALUE"
        run_step "$entry" || { because "the migration $VALUE failed"; return 1; }
    done
}

# Caches are emptied after either outcome. One that refuses is noted: it must not keep the shop closed.
purge() {
    for entry in plan/purge/*.php plan/purge/*.sh; do
        [ ! -e "$entry" ] || purge_one "$entry" || journal "note purge ${entry##*/} failed"
    done
}

purge_one() {
    limit=
    command -v timeout >/dev/null && limit='timeout 60'
    # shellcheck disable=SC2086  # two words or none
    case $1 in
        *.sh) job $limit sh <"$1" >step.out 2>>log ;;
        *) job $limit "$PHP" -d display_errors=stderr <"$1" >step.out 2>>log ;;
    esac
}

# A cache that cannot be emptied would show the old shop, or half of the new one: tried while the shop is open.
purge_proven() {
    for entry in plan/purge/*.php plan/purge/*.sh; do
        [ -e "$entry" ] || continue
        purge_one "$entry"
        code=$?
        case $entry in
            *.php) helper purged "$code" || return 1 ;;
            *) [ "$code" -eq 0 ] || { because "refused: a command of promote.purge in site.yml ended with $code"; return 1; } ;;
        esac
    done
}

await_decision() {
    until [ -e decided ]; do
        # The watchdog sees this too, where it lives.
        ! expired || { cause 'the deadline passed'; return 1; }
        sleep 0.2 2>/dev/null || sleep 1
    done
    [ "$(decision)" = new ]
}

# ------------------------------------------------------------------------------------------ forward, back, done

step() {
    # Exit 2: decided meanwhile.
    [ ! -e decided ] || return 2
    journal "begin $1" || return 1
    "$2" || return 1
    journal "done $1"
}

# Everything below is idempotent: it may be killed anywhere and is then run again.
undo() {
    stop_jobs || return 1
    # A rollback that died before its gate stood must not swap in an open shop.
    if [ -e going-back ] && ! did reverted; then gate_put || return 1; fi
    if begun migrated && ! did restored; then helper kill-threads || return 1; fi
    # Before anything else runs: from here on it could not be told from what the replay wrote.
    if [ -e outside ] && begun migrated && [ ! -e beside ]; then helper beside || return 1; fi
    if begun migrated && ! begun reverted && [ -e plan/stays ]; then
        # Old code does not know tables that were written, and they may not go back: asked of the files and tables themselves.
        begun stopped || helper touched || return 1
        if begun stopped || [ -s touched ]; then stop; return; fi
    fi
    if begun swapped && ! did reverted; then
        journal 'begin reverted'
        swap_back || return 1
        helper verify old || return 1
        journal 'done reverted'
    fi
    # Never twice: after opening, the tables hold new orders.
    if begun dumped && ! did restored; then
        journal 'begin restored'
        restore || return 1
        journal 'done restored'
    fi
    if [ -e plan/rows-that-stay ] && begun migrated && ! did kept; then
        journal 'begin kept'
        helper keep-rows || return 1
        journal 'done kept'
    fi
    if begun swapped && ! did reset; then
        # A disk that filled up since the decision has no room for the one-time file.
        rm -f reserve.reset
        helper opcache || return 1
        journal 'done reset'
    fi
    if [ -e outside ] && begun migrated; then
        helper strays || return 1
        if [ -s astray ]; then stop; return; fi
    fi
    finish rolled_back
}

# Neither on nor back by itself. What is there stays, the gate as policy says; copies and credentials stay for who says `back`.
stop() {
    begun stopped || journal 'begin stopped' || return 1
    if [ -e plan/stopped-open ]; then
        purge
        helper opcache || journal 'note opcache could not be reset'
        gate_remove || return 1
    fi
    crontab_free || { because 'the crontab cannot be restored'; return 1; }
    did stopped || journal 'done stopped' || return 1
    cat reason touched astray 2>/dev/null | tr '\n' ' ' >stopped.tmp
    flush stopped.tmp && mv stopped.tmp stopped && flush "$RUN"
    crontab_restore || { because 'the crontab cannot be restored'; return 1; }
}

stopped_words() {
    shop=closed
    [ ! -s opened-at ] || shop='open, half updated'
    program=$(quoted "$RUN/transaction.sh")
    printf 'stopped: %s\nThe shop is %s, and stays so until a person decides:\n' "$(cat stopped)" "$shop"
    printf '  sh %s keep   # the shop as it stands is right, or was made so by hand: open it and end this run\n' "$program"
    printf '  sh %s back   # bring tables and files back as they were before, whatever that means to the vendor, and open\n' "$program"
}

restore() {
    begun migrated || return 0
    helper restore || return 1
    rm -f reserve.tables
    if [ -e by-php ]; then
        helper load-tables || return 1
    elif [ -d dump-tables ]; then
        load_sql dump.sql 'the dump cannot be loaded back' || return 1
    fi
    helper verify-tables
}

# load_sql FILE WHY, by the database's own client. --binary-mode: nothing in the data is a command of it.
load_sql() {
    load plan/database.name
    job "$(client)" --defaults-extra-file="$RUN/plan/my.cnf" --binary-mode -- "$VALUE" <"$1" 2>>log || { because "$2"; return 1; }
}

finish() {
    [ ! -e finished ] || { let_go; return; }
    journal 'begin opened'
    if begun closed && ! did opened; then purge; fi
    gate_remove || return 1
    if begun dumped && ! kept "$1"; then helper drop-copies || return 1; fi
    [ "$1" != promoted ] || helper forget || journal 'note copies of an earlier promotion could not be dropped'
    # One-time PHP files have names that nobody else could have made.
    find "$DOCROOT" -maxdepth 1 -name "updater-$(cat plan/onetime)-*.php" -exec rm -f -- {} \;
    crontab_free || { because 'the crontab cannot be restored'; return 1; }
    kept "$1" || rm -rf -- dump.sql dump-tables
    # What a restore would have lost is not lost.
    [ "$1" = promoted ] || [ -e discard ] || rm -rf -- since since.json
    rm -rf -- reserve reserve.reset reserve.tables plan/my.cnf plan/database.json plan/authorization plan/migrate plan/ask plan/replay plan/purge upload archive.tar \
        step.out going-back outside beside definitions touched astray
    if [ "$1" = promoted ]; then
        prune
    else
        rm -rf -- new
    fi
    journal 'done opened'
    printf '%s\n' "$1" >finished.tmp && flush finished.tmp && mv finished.tmp finished && rm -f stopped && flush "$RUN"
    let_go
}

# Its last two acts. Whoever was killed before them is started by cron once more, and only does these.
let_go() {
    crontab_restore || { because 'the crontab cannot be restored'; return 1; }
    unlock
}

# How it ended, once nothing of it is left.
ended() { [ "$(owner_run)" = "$NAME" ] || cat finished 2>/dev/null; }

# Copies of tables stay for a rollback that discards what came since, where the plan asks for it.
kept() { [ "$1" = promoted ] && [ -e plan/keep ] && begun dumped; }

# Old code is kept for one code rollback: that of the last promotion.
prune() {
    for other in "$WORK"/runs/*; do
        [ "$other" != "$RUN" ] && [ -e "$other/finished" ] && rm -rf -- "$other/old" "$other/new" "$other/stray" "$other/refused" "$other/since"
    done
    rm -rf -- new
}

settle() {
    [ ! -e finished ] || { let_go; return; }
    decide old || return 1
    if [ "$DECISION" = new ]; then finish promoted; else undo; fi
}

main() {
    trap '' HUP
    # The lock came with the descriptor from `start`; taking it again is a no-op.
    lock_now 9 || exit 1
    printf %s "$$" >actor.pid
    if forward; then finish promoted; else settle; fi
}

forward() {
    step staged stage && step closed close_shop && step drained drain || return 1
    [ ! -s seen-in ] || journal "note requests under way are seen in $(cat seen-in)" || return 1
    if [ -e plan/migration ]; then step dumped dump || return 1; fi
    step swapped swap || return 1
    if [ -e plan/migration ]; then step migrated migrate || return 1; fi
    # What caches kept of the open shop would be looked at in place of the new code, and hide that it is broken.
    purge
    step checked await_decision
}

watch() {
    if [ -e finished ]; then
        become_actor && let_go
        exit 0
    fi
    if [ -e stopped ]; then
        become_actor && crontab_restore
        exit 0
    fi
    [ -z "${CRON:-}" ] || : >restarter-seen
    trap '' HUP
    exec 8>>watch.lock
    # What cron starts stands by until the next is due: a watchdog that dies alone is missed for a second, not for a minute.
    stood=0
    until lock_now 8; do
        [ -n "${CRON:-}" ] && [ ! -e finished ] && [ ! -e stopped ] && [ "$stood" -lt 58 ] || exit 0
        stood=$((stood + 1))
        sleep 1
    done
    printf %s "$$" >watch.pid
    grace=0
    until [ -e finished ] || [ -e stopped ]; do
        # Somebody deleted the folder: there is nothing left to do, and nothing to do it with.
        [ -e "$RUN/transaction.sh" ] || exit 0
        if become_actor; then
            # A server that ends what outlives its ssh command does so at once, in the open shop.
            if begun closed; then
                cause 'the process on the server was gone'
            else
                cause 'refused: the process on the server was gone: does the server kill background processes when their ssh command ends? updater check --connect tries that'
            fi
            settle || journal "note not done yet: $(cat latest 2>/dev/null)"
            no_actor
        elif expired; then
            cause 'the deadline passed'
            decide old
            # Decided for new it only has to open, and who is on the way back (a `recover` too) is not stopped in it: both get
            # the time for it, unless they hang.
            if [ "$grace" -gt 20 ] || { [ "$DECISION" = old ] && ! did_begin_undo; }; then
                kill_actor
                grace=0
            fi
            grace=$((grace + 1))
        elif [ "$(decision)" = old ]; then
            # It rolls back by itself; when it hangs in a job, the job is what must go.
            grace=$((grace + 1))
            [ "$grace" -le 3 ] || did_begin_undo || kill_actor
        fi
        [ -e finished ] || [ -e stopped ] || sleep 1
    done
}

did_begin_undo() { begun reverted || begun opened || begun restored || begun stopped; }

detached() {
    # shellcheck disable=SC2016  # the inner shell expands
    setsid nohup "${SHELL_PROGRAM:-sh}" ${APPLET:+"$APPLET"} "$RUN/transaction.sh" "$@" </dev/null >>log 2>&1 &
}

start() {
    [ ! -e journal ] || { echo 'started already'; return 0; }
    locks_hold || { echo 'refused: neither flock nor PHP locks a file of the work folder'; exit 1; }
    lock || { echo locked; cat "$WORK/lock/owner" 2>/dev/null; exit 6; }
    become_actor || exit 1
    echo old >decision.old && echo new >decision.new || exit 1
    # Freed by the decision, so that a full disk can still be journaled and undone.
    { dd if=/dev/zero of=reserve bs=1024 count=1024 && dd if=/dev/zero of=reserve.reset bs=1024 count=64; } 2>/dev/null || { unlock; echo 'refused: no space left in the work folder'; exit 1; }
    # Staging happens in an open shop and may take its time; closing sets the real deadline.
    echo $(($(now) + 3600)) >deadline
    journal "note started $(text owner | tr '\n' ' ')"
    # Before anything is done: who is killed from here on is missed within a minute.
    crontab_save
    crontab_install open
    detached main
    no_actor
    detached watch
    echo started
}

recover() {
    if [ -n "$(ended)" ]; then
        ended
        return 0
    fi
    if [ ! -e journal ]; then
        unlock
        echo 'nothing was begun'
        return 0
    fi
    if [ -e stopped ]; then
        stopped_words
        exit 5
    fi
    # An updater that still follows its run touches `alive`.
    if ! free actor.lock && [ "${1:-}" != --now ] && [ -n "$(find alive -mmin -1 2>/dev/null)" ] && ! expired; then
        echo 'still at work'
        return 0
    fi
    [ -e finished ] || cause 'recovered by hand'
    decide old
    attempts=0 acted=
    until [ -n "$(ended)" ]; do
        if become_actor; then
            acted=yes
            settle
            no_actor
        elif [ "$attempts" -eq 10 ] && [ -z "$acted" ]; then
            kill_actor
        fi
        if [ -e stopped ]; then
            stopped_words
            exit 5
        fi
        attempts=$((attempts + 1))
        [ "$attempts" -lt 30 ] || { echo "not done: $(cat latest 2>/dev/null)"; exit 5; }
        [ -n "$(ended)" ] || sleep 1
    done
    ended
}

open_now() {
    kill_actor
    stop_jobs
    gate_remove
    rc=$?
    crontab_restore
    echo "gate removed; now: sh $RUN/transaction.sh recover"
    return "$rc"
}

# What a person says of a stopped run. From here on it is one that any watchdog brings to its end.
go_on() {
    [ ! -e finished ] || { ended; return; }
    [ -e stopped ] || { echo 'this run is not stopped'; exit 2; }
    become_actor || { echo 'somebody else is at it'; exit 5; }
    if [ "$1" = keep ]; then
        helper opcache || journal 'note opcache could not be reset'
        finish kept || { echo "not done: $(cat latest 2>/dev/null)"; exit 5; }
        ended
        return
    fi
    # As policy says, or by `open`: what came since is kept, and lost to the shop.
    [ ! -s opened-at ] || : >discard
    echo $(($(now) + $(text deadline))) >deadline
    rm -f crontab.saved crontab.none crontab.ours crontab.unusable plan/stays opened-at
    : >going-back
    crontab_save
    crontab_install held || { echo 'the crontab cannot be held'; exit 5; }
    gate_put && stamp >gate-at || exit 5
    if [ -e discard ]; then
        helper drain "$(text drain)" || journal 'note visitors were still connected: they are cut off'
        helper since || journal 'note what came since could not be exported: it stays in tables named updater_…b'
    fi
    journal 'note a person brings tables and files back'
    rm -f stopped && flush "$RUN"
    no_actor
    detached watch
    recover --now
}

# Code only, after opening: closes, swaps back, resets opcache, opens. The plan (gate, purge) was uploaded anew.
rollback() {
    # Asked again after a lost reply.
    if [ -e journal.promoted ] && [ "$(cat finished 2>/dev/null)" != promoted ]; then
        echo 'started already'
        return 0
    fi
    [ "$(cat finished 2>/dev/null)" = promoted ] || { echo 'this run was not promoted'; exit 2; }
    [ ! -e plan/migration ] || [ "${1:-}" = discard ] || { echo 'this run migrated the database'; exit 2; }
    [ -n "$(find old -mindepth 1 -maxdepth 1 2>/dev/null)" ] || grep -q create kind/* 2>/dev/null ||
        { echo 'the old code is no longer there'; exit 2; }
    lock || { echo locked; cat "$WORK/lock/owner" 2>/dev/null; exit 6; }
    become_actor || exit 1
    if [ -e plan/migration ]; then
        { [ -e tables.json ] && helper copies; } || { echo 'the copies of the tables are no longer there'; unlock; exit 2; }
    fi
    helper verify new || { cat latest; unlock; exit 1; }
    [ -e journal.promoted ] || mv journal journal.promoted
    mkdir -p new
    echo old >decision.old
    rm -rf -- since
    rm -f outside beside definitions touched astray since.json discard journal decided reason closed-at opened-at crontab.saved crontab.none crontab.ours crontab.unusable restarter-seen
    echo $(($(now) + $(text deadline))) >deadline
    printf 'rolled back by hand\n' >reason
    # What a watchdog finds from here on says: go back.
    decide old
    journal 'begin closed' && journal 'begin swapped' || exit 1
    if [ -e plan/migration ]; then
        : >discard
        journal 'begin dumped' && journal 'begin migrated' || exit 1
    fi
    : >going-back
    crontab_save
    stamp >closed-at
    # Until here it was promoted, whatever died; from here on it is to be undone.
    rm -f finished && flush "$RUN"
    detached go-back
    no_actor
    detached watch
    echo started
}

go_back() {
    trap '' HUP
    lock_now 9 || exit 1
    printf %s "$$" >actor.pid
    crontab_install held
    gate_put && stamp >gate-at && sleep 1
    if [ -e discard ]; then
        helper drain "$(text drain)" || journal 'note visitors were still connected: they are cut off'
        helper since || journal 'note what came since could not be exported: it stays in tables named updater_…b'
    fi
    settle
}

# Credentials were uploaded for this, and go again.
forget() {
    helper drop-copies && rm -rf -- dump.sql dump-tables tables.json since since.json
    rc=$?
    rm -f plan/my.cnf plan/database.json
    return "$rc"
}

report() {
    [ -z "${1:-}" ] || : >alive
    # Who follows the run need not wait for cron where one of the two processes was killed.
    if [ "${1:-}" = follow ] && [ -e journal ] && [ -z "$(ended)" ] && [ ! -e stopped ] && { free actor.lock || free watch.lock; }; then
        detached watch
    fi
    printf 'decided=%s\nfinished=%s\nstopped=%s\nreason=%s\nclosed=%s\nopened=%s\nactor=%s\n--journal--\n' "$(decision)" "$(ended)" \
        "$(cat stopped 2>/dev/null)" "$(cat reason 2>/dev/null)" "$(cat closed-at 2>/dev/null)" "$(cat opened-at 2>/dev/null)" \
        "$(if free actor.lock; then echo gone; else echo alive; fi)"
    cat journal 2>/dev/null
}

case $SHELL_PROGRAM in *busybox) APPLET='sh' ;; *) APPLET= ;; esac
case ${1:-} in
    start) start ;;
    main) main ;;
    watch) watch ;;
    confirm) if expired || ! begun checked; then decide old; else decide new; fi; echo "$DECISION" ;;
    reject) cause "$(cat)"; decide old; echo "$DECISION" ;;
    recover) recover "${2:-}" ;;
    back | keep) go_on "$1" ;;
    open) open_now ;;
    rollback) rollback "${2:-}" ;;
    forget) forget ;;
    go-back) go_back ;;
    report) report "${2:-}" ;;
    *) sed -n 's/^#   //p' "$0"; exit 2 ;;
esac
