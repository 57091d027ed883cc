-- Remembers what a peer is asked to commit to.
INSERT INTO commitment_asked (transaction_uid, peer, sop_class_uids, sop_instance_uids)
VALUES (%(uid)s, %(peer)s, %(classes)s::text[], %(instances)s::text[])
ON CONFLICT (transaction_uid) DO NOTHING
