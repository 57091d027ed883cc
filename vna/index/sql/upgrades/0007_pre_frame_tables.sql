-- A part of a long frame table is read from where it lies, without decompressing all before it.

ALTER TABLE instance ALTER COLUMN frames SET STORAGE EXTERNAL;
