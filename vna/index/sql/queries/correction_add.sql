-- A correction, there from now on; its id stands for its patch. False: that id stands for another patch.
WITH added AS (
    INSERT INTO correction (id, patch) VALUES (%(id)s, %(patch)s::jsonb) ON CONFLICT (id) DO NOTHING RETURNING id
)
SELECT EXISTS (SELECT FROM added)
    OR (SELECT c.patch = %(patch)s::jsonb FROM correction c WHERE c.id = %(id)s)
