-- The moment; all times are told in UTC from here on.
SELECT set_config('timezone', 'UTC', true), now()
