#!/bin/sh
# Once, when the database cluster is new: the suite's role and its database. The role owns the database and is nothing more:
# no superuser, no other database.
set -eu
psql --set=ON_ERROR_STOP=1 --no-psqlrc --username=postgres --dbname=postgres <<'SQL'
\set password `cat /run/secrets/database_password`
CREATE ROLE shipei LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE shipei OWNER shipei ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
REVOKE ALL ON DATABASE shipei FROM PUBLIC;
SQL
