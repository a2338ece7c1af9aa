#!/bin/sh
# Makes this container production's twin, then becomes Apache. Safe to run again: a restored checkpoint restarts it.
#
# Environment: SITE_NAME, SITE_DOCROOT, WEB_UID, WEB_GID, PHP_EXTENSIONS (names in lower case; empty: all),
# DATABASE_SOCKET (where production's code looks for it), SITE_ELSEWHERE (lines of a folder outside the docroot, a tab, and its
# name below the docroot here). Files put here before: /opt/web/{site.pem,site.key,ca.pem,
# web.ini,cli.ini}.
set -eu

getent group web >/dev/null || groupadd --non-unique --gid "$WEB_GID" web
getent passwd web >/dev/null || useradd --non-unique --uid "$WEB_UID" --gid web --home-dir /home/web --shell /bin/sh web
chown web:web /home/web /var/log/php
touch /var/log/php/errors.log && chown web:web /var/log/php/errors.log

for root in /etc/php/*; do
    if [ -n "${PHP_EXTENSIONS:-}" ]; then
        for ini in "$root"/mods-available/*.ini; do
            name=$(basename "$ini" .ini)
            priority=$(sed -n 's/^; *priority=\([0-9]*\).*/\1/p' "$ini")
            for sapi in apache2 cli; do
                rm -f "$root/$sapi/conf.d/"[0-9][0-9]-"$name".ini
                case " $PHP_EXTENSIONS " in
                    *" $name "*) ln -s "$ini" "$root/$sapi/conf.d/${priority:-20}-$name.ini" ;;
                esac
            done
        done
    fi
    cp /opt/web/web.ini "$root/apache2/conf.d/99-production.ini"
    cp /opt/web/cli.ini "$root/cli/conf.d/99-production.ini"
done

# The shop calls itself by https: its throw-away certificate is trusted in here, and nowhere else.
hash=$(openssl x509 -hash -noout -in /opt/web/ca.pem)
if [ ! -e "/etc/ssl/certs/$hash.0" ]; then
    ln -s /opt/web/ca.pem "/etc/ssl/certs/$hash.0"
    cat /opt/web/ca.pem >>/etc/ssl/certs/ca-certificates.crt
fi

if [ -n "${DATABASE_SOCKET:-}" ] && [ ! -e "$DATABASE_SOCKET" ]; then
    mkdir -p "$(dirname "$DATABASE_SOCKET")"
    ln -sf /run/mysqld/mysqld.sock "$DATABASE_SOCKET"
fi

tab=$(printf '\t')
printf '%s' "${SITE_ELSEWHERE:-}" | while IFS=$tab read -r folder name; do
    if [ -e "$folder" ] && [ ! -L "$folder" ]; then
        echo "the shop keeps files in $folder, which this image has for itself" >&2
        exit 1
    fi
    mkdir -p "$(dirname "$folder")"
    ln -sfn "$SITE_DOCROOT/$name" "$folder"
done

export SITE_NAME SITE_DOCROOT
export APACHE_RUN_USER=web APACHE_RUN_GROUP=web APACHE_RUN_DIR=/run/apache2 APACHE_LOCK_DIR=/run/lock/apache2 \
    APACHE_PID_FILE=/run/apache2/apache2.pid APACHE_LOG_DIR=/var/log/apache2
mkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR"
rm -f "$APACHE_PID_FILE"
cd /
exec apache2 -DFOREGROUND
