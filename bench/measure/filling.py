"""What makes a shop's server large: shell scripts, for its root, that add code, pictures and tables as shops have them."""

from __future__ import annotations

_CODE_FOLDERS, _SOURCES, _MONTHS = 25, 40, 12
_WHOLE_MEGABYTES = 303
"""What the rows of `_TABLES` come to with their indexes, as MariaDB tells it"""


def files(docroot: str, code: int, pictures: int, plugins: str = "plugins", media: str = "media/2026") -> str:
    """Much PHP of some 6 kB, fewer and larger pictures that do not compress; the same names each time, so that more are added."""
    return rf"""
cd {docroot} && su deploy -c 'php -r "
mt_srand(7);
for (\$n = 0; \$n < {code}; \$n++) {{
    \$folder = sprintf(\"{plugins}/p%02d/src%02d\", \$n % {_CODE_FOLDERS}, \$n % {_SOURCES});
    @mkdir(\$folder, 0755, true);
    \$lines = \"\";
    for (\$k = 0; \$k < 90; \$k++) {{ \$lines .= \"    \\\$this->value[\" . mt_rand() . \"] = strlen(\\\$name) + \" . mt_rand() . \";\n\"; }}
    file_put_contents(\"\$folder/class-\$n.php\", \"<?php\nclass C\$n {{ function f(\\\$name) {{\n\$lines}} }}\n\");
}}
for (\$n = 0; \$n < {pictures}; \$n++) {{
    \$folder = sprintf(\"{media}/%02d\", \$n % {_MONTHS});
    @mkdir(\$folder, 0755, true);
    file_put_contents(\"\$folder/\$n.jpg\", random_bytes(mt_rand(20000, 180000)));
}}"'
"""


def tables(prefix: str, megabytes: float) -> str:
    """Rows as WordPress and its shops have them: many small ones with two indexes, fewer with long texts, orders. Replaces them.

    Their size is asked of the server afterwards, which guesses until they are analyzed.
    """
    share = megabytes / _WHOLE_MEGABYTES
    meta, posts, orders = (max(1, round(rows * share)) for rows in (700_000, 60_000, 160_000))
    return f"""mariadb shop <<'SQL'
DROP TABLE IF EXISTS {prefix}meta, {prefix}posts, {prefix}orders;
CREATE TABLE {prefix}meta (id BIGINT AUTO_INCREMENT PRIMARY KEY, post BIGINT NOT NULL, name VARCHAR(255), value LONGTEXT,
  KEY post (post), KEY name (name(191))) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO {prefix}meta (post, name, value)
  SELECT seq DIV 12, ELT(1 + seq % 12, '_sku', '_price', '_stock', '_weight', '_tax_class', '_image', '_visibility', 'total_sales', '_length',
  '_width', '_height', '_edit_lock'), CONCAT(MD5(seq), ' ', seq * 7) FROM seq_1_to_{meta};
CREATE TABLE {prefix}posts (id BIGINT AUTO_INCREMENT PRIMARY KEY, title TEXT, content LONGTEXT, kind VARCHAR(20), at DATETIME,
  slug VARCHAR(200), KEY slug (slug(191)), KEY kind (kind, at)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO {prefix}posts (title, content, kind, at, slug)
  SELECT CONCAT('Чай № ', seq), REPEAT(CONCAT('Листовой чай, сбор ', MD5(seq), '. It''s \\\\ "fresh". '), 22), 'product',
  '2026-01-01' + INTERVAL seq MINUTE, CONCAT('tea-', seq) FROM seq_1_to_{posts};
CREATE TABLE {prefix}orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, token CHAR(32), total DECIMAL(12,2), at DATETIME, payload BLOB,
  KEY token (token)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO {prefix}orders (token, total, at, payload)
  SELECT MD5(seq), seq / 7, '2026-01-01' + INTERVAL seq MINUTE, UNHEX(SHA2(seq, 512)) FROM seq_1_to_{orders};
ANALYZE TABLE {prefix}meta, {prefix}posts, {prefix}orders;
SQL
"""
