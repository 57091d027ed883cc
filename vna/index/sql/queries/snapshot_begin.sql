-- All that this transaction reads is of one moment; the first statement of it.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY
