#!/bin/sh
# Makes this container production's twin, then becomes its web server. Safe to run again: a restored checkpoint restarts it.
#
# Environment: SITE_NAME, SITE_DOCROOT, WEB_UID, WEB_GID, PHP_EXTENSIONS (names in lower case; empty: all),
# DATABASE_SOCKET (where production's code looks for it), SITE_ELSEWHERE (lines of a folder outside the docroot, a tab, and its
# name below the docroot here), SITE_OVERRIDE (what .htaccess may say; empty: all), NGINX_FRONT (what nginx answers an address with that is no file;
# empty: Apache answers, by .htaccess). Files put here before: /opt/web/{site.pem,site.key,ca.pem,web.ini,cli.ini}, and redis.conf
# where production has a Redis.
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
            for sapi in apache2 fpm cli; do
                rm -f "$root/$sapi/conf.d/"[0-9][0-9]-"$name".ini
                case " $PHP_EXTENSIONS " in
                    *" $name "*) ln -s "$ini" "$root/$sapi/conf.d/${priority:-20}-$name.ini" ;;
                esac
            done
        done
    fi
    cp /opt/web/web.ini "$root/apache2/conf.d/99-production.ini"
    cp /opt/web/web.ini "$root/fpm/conf.d/99-production.ini"
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

# As empty as after a restart, which each restored checkpoint is: nothing in it is older than the database.
if [ -e /opt/web/redis.conf ]; then
    socket=$(sed -n 's/^unixsocket "\(.*\)"/\1/p' /opt/web/redis.conf)
    mkdir -p /run/redis "$(dirname "${socket:-/run/redis/x}")"
    chown redis: /run/redis "$(dirname "${socket:-/run/redis/x}")"
    setpriv --reuid redis --regid redis --clear-groups redis-server - </opt/web/redis.conf
    port=$(sed -n 's/^port //p' /opt/web/redis.conf)
    # Any answer will do: it may ask for the password.
    until [ -n "$(redis-cli ${socket:+-s "$socket"} -p "$port" ping 2>/dev/null)" ]; do sleep 0.05; done
fi

if [ -n "${NGINX_FRONT:-}" ]; then
    # shellcheck disable=SC2016  # nginx's variable
    printf 'server_name "%s";\nroot "%s";\nlocation / { try_files $uri $uri/ %s; }\n' "$SITE_NAME" "$SITE_DOCROOT" "$NGINX_FRONT" >/run/nginx-site.conf
    mkdir -p /run/php && rm -f /run/php/web.sock /run/nginx.pid
    for pool in /etc/php/*/fpm/pool.d; do
        cat >"$pool/www.conf" <<'POOL'
[web]
user = web
group = web
listen = /run/php/web.sock
listen.owner = web
listen.group = web
pm = dynamic
pm.max_children = 24
pm.start_servers = 3
pm.min_spare_servers = 2
pm.max_spare_servers = 6
pm.max_requests = 500
POOL
    done
    # It goes to the background once it listens.
    for fpm in /usr/sbin/php-fpm[0-9]*; do "$fpm"; done
    exec nginx -c /opt/web/nginx.conf
fi

export SITE_NAME SITE_DOCROOT SITE_OVERRIDE="${SITE_OVERRIDE:-All}"
export APACHE_RUN_USER=web APACHE_RUN_GROUP=web APACHE_RUN_DIR=/run/apache2 APACHE_LOCK_DIR=/run/lock/apache2 \
    APACHE_PID_FILE=/run/apache2/apache2.pid APACHE_LOG_DIR=/var/log/apache2
mkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR"
rm -f "$APACHE_PID_FILE"
cd /
exec apache2 -DFOREGROUND
