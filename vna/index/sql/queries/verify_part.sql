-- What a verification has seen of one backend since the last time, and whether that was all of it.
INSERT INTO verification_part AS p (verification, backend, objects, size, ended_at)
VALUES (%(run)s, %(backend)s, %(objects)s, %(size)s, CASE WHEN %(ended)s THEN now() END)
ON CONFLICT (verification, backend) DO UPDATE
SET objects = p.objects + excluded.objects, size = p.size + excluded.size, seen_at = now(),
    ended_at = coalesce(p.ended_at, excluded.ended_at)
