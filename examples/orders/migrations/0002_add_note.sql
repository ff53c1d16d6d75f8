-- Expands: a release that knows no notes goes on writing orders without one.
ALTER TABLE orders ADD COLUMN note TEXT NOT NULL DEFAULT '';
