/** The benches, in the order in which they are run and reported. */
import { coldStart } from "./cold-start.ts";
import { containment } from "./containment.ts";
import type { Bench } from "./contract.ts";
import { density } from "./density.ts";
import { echo } from "./echo.ts";
import { edit } from "./edit.ts";
import { engine } from "./engine.ts";
import { fresh } from "./fresh.ts";
import { hello } from "./hello.ts";
import { memory } from "./memory.ts";
import { product } from "./product.ts";
import { shards } from "./shards.ts";
import { weaving } from "./weave.ts";

export const benches: readonly Bench[] = [
  hello,
  fresh,
  echo,
  product,
  shards,
  engine,
  weaving,
  containment,
  coldStart,
  edit,
  memory,
  density,
];
