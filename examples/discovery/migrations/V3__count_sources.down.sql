DROP TRIGGER sources_are_counted ON sources;
DROP TRIGGER no_sources_are_counted ON sources;
DROP FUNCTION count_sources();
