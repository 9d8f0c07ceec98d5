DROP TABLE chapters_v1;
