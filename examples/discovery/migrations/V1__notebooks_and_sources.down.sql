DROP TABLE sources;
DROP TABLE notebooks;
