import { responseWithoutLoading } from "./buf-plugin/plugin-spec.ts";

const args = process.argv.slice(2);
const response = responseWithoutLoading(args);
if (response !== undefined) process.stdout.write(response);
else {
  const { serve } = await import("./buf-plugin/serve.ts");
  await serve(args);
}
