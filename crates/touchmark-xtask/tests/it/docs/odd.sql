CREATE SCHEMA "sch""ema"; 
CREATE TABLE "sch""ema"."a""; DROP--" ("PK" int PRIMARY KEY, "it's" text NOT NULL, "<b>" int, "|" int, "a%b\c" int, "back`tick" int);
CREATE TABLE "sch""ema"."<b>" ("größe" int PRIMARY KEY REFERENCES "sch""ema"."a""; DROP--", "表の名前" text UNIQUE, "👩‍🚀" text, "title" "char", "one" int);
CREATE TABLE "sch""ema"."one" ("line
break" int PRIMARY KEY, "to" int REFERENCES "sch""ema"."<b>", "a very long name of a column which goes on and on until the end" character varying(200)[]);
CREATE TABLE "sch""ema"."a very long name of a table that goes on and on until the very e" (x int);
CREATE TABLE "sch""ema"."|" ();
COMMENT ON TABLE "sch""ema"."one" IS E'a | b <script>alert(1)</script>\nsecond `line` & [x](y)';
COMMENT ON COLUMN "sch""ema"."<b>"."one" IS '--> ]]> *bold*';
