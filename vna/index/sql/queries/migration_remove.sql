-- Removes a campaign whose studies are gone.
DELETE FROM campaign WHERE id = %(campaign)s
