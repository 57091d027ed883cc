-- Backends that are being emptied, and those that were.
SELECT backend, target, began_at, ended_at, moved, dropped, size, failed, grace, held_until > now(), last_error
FROM drain ORDER BY backend
