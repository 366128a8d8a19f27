-- Least privilege for a ledger on PostgreSQL. As an administrator, in the ledger's own database:
--   psql --dbname reconciler --file deploy/grants.sql     before the first `reconciler migrate`, and once more after it
-- Twice is harmless. Give the roles passwords or certificates yourself; none stands in a file.
--
--   reconciler_owner   makes and changes the tables: `reconciler migrate`, nothing else
--   reconciler         run, tick, import, token and all other commands: rows, never tables
--   reconciler_reader  the views `complete_through` and `pipeline_complete_through`, for dashboards and schedulers
--
-- What connectors need in the databases that they read: `reconciler check-config --permissions`.
DO $$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY['reconciler_owner', 'reconciler', 'reconciler_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = one) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION', one);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), one);
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO reconciler_owner;
GRANT USAGE ON SCHEMA public TO reconciler, reconciler_reader;

-- Tables that a later `migrate` makes are covered too.
ALTER DEFAULT PRIVILEGES FOR ROLE reconciler_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO reconciler;
ALTER DEFAULT PRIVILEGES FOR ROLE reconciler_owner IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO reconciler;
-- What makes and drops the days of looks at queues has the owner's rights, and does nothing else.
ALTER DEFAULT PRIVILEGES FOR ROLE reconciler_owner IN SCHEMA public
    GRANT EXECUTE ON FUNCTIONS TO reconciler;

DO $$
DECLARE
    one text;
BEGIN
    IF to_regclass('public.alembic_version') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON public.alembic_version FROM reconciler;
    END IF;
    FOREACH one IN ARRAY ARRAY['complete_through', 'pipeline_complete_through'] LOOP
        IF to_regclass('public.' || one) IS NOT NULL THEN
            EXECUTE format('GRANT SELECT ON public.%I TO reconciler_reader', one);
        END IF;
    END LOOP;
END
$$;
