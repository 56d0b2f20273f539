import { runNodeJs } from "@bufbuild/protoplugin";
import { protocGenMicro } from "./plugin.ts";

runNodeJs(protocGenMicro);
