DROP TABLE retry_history;
