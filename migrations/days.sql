-- Looks at queues, on PostgreSQL: a table a pipeline and day (UTC), made ahead and dropped whole. Whatever has no day that
-- was made ahead, such as looks of the past that are imported, is in queue_sample_other and goes row by row.
--
-- The functions have the rights of who migrates, so that the service needs none to make or drop tables. They name tables
-- themselves, and wait for nobody longer than readers could be made to wait for them: what is not done is done next time.

CREATE TABLE queue_sample_other PARTITION OF queue_sample DEFAULT;

CREATE FUNCTION queue_sample_day(whose text, day date) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT 'queue_sample_' || left(encode(sha256(convert_to(whose, 'UTF8')), 'hex'), 12) || to_char(day, '_YYYYMMDD')
$$;

-- Makes the table of a day; whether it did. What is already in queue_sample_other, from a clock that is ahead, moves there;
-- where that is much, the day stays there.
CREATE FUNCTION queue_sample_make(whose text, day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = <schema>, pg_temp SET lock_timeout = '100ms'
AS $$
DECLARE
    moves CONSTANT integer := 10000;
    name CONSTANT text := queue_sample_day(whose, day);
    since CONSTANT bigint := extract(epoch FROM day)::bigint * 1000000;
    until CONSTANT bigint := extract(epoch FROM day + 1)::bigint * 1000000;
BEGIN
    IF to_regclass(name) IS NOT NULL OR moves < (
        SELECT count(*) FROM (
            SELECT FROM queue_sample_other o WHERE o.pipeline = whose AND o.at >= since AND o.at < until LIMIT moves + 1
        ) AS already
    ) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE queue_sample INCLUDING ALL)', name);
    EXECUTE format('COMMENT ON TABLE %I IS %L', name, format('Looks at the queues of %s on %s, UTC', whose, day));
    EXECUTE format(
        'WITH moved AS (DELETE FROM queue_sample_other WHERE pipeline = $1 AND at >= $2 AND at < $3 RETURNING *)'
        ' INSERT INTO %I SELECT * FROM moved', name
    ) USING whose, since, until;
    EXECUTE format(
        'ALTER TABLE queue_sample ATTACH PARTITION %I FOR VALUES FROM (%L, %s) TO (%L, %s)',
        name, whose, since, whose, until
    );
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END
$$;

-- Drops the tables of days that were over by then, oldest first, at most so many; how many it did.
CREATE FUNCTION queue_sample_drop(whose text, before date, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = <schema>, pg_temp SET lock_timeout = '100ms'
AS $$
DECLARE
    name text;
    dropped integer := 0;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'queue_sample'::regclass AND c.relname < queue_sample_day(whose, before)
            AND starts_with(c.relname, left(queue_sample_day(whose, before), -8))
        ORDER BY c.relname LIMIT most
    LOOP
        EXECUTE format('DROP TABLE %I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END
$$;

REVOKE ALL ON FUNCTION queue_sample_make, queue_sample_drop FROM PUBLIC;
