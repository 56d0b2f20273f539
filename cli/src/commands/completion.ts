import { type Command, type CommandEntry, defineCommand } from "../command.ts";
import { UsageError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { lines } from "../text.ts";

const shells = ["bash", "zsh", "fish"] as const;

export const command: Command = defineCommand({
  arguments: [{ name: "shell", help: shells.join(", ") }],
  options: {},
  examples: [
    ['eval "$(micro completion bash)"', "in ~/.bashrc; the same for zsh in ~/.zshrc"],
    ["micro completion fish >~/.config/fish/completions/micro.fish", "for fish"],
  ],
  async run({ arguments: [shell = ""], output, commands }) {
    const known = shells.find((it) => it === shell);
    if (known === undefined) {
      const meant = nearest(shell, shells) ?? shells.join(", ");
      throw new UsageError(`no completion for ${shell}; supported: ${meant}`);
    }
    const words = await Promise.all(commands.map(wordsOf));
    output.line(lines(scripts[known](words)));
  },
});

/** A command's name and its options. */
interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly string[];
}

async function wordsOf({ name, summary, load }: CommandEntry): Promise<Completed> {
  const loaded = await load();
  const options = [...Object.keys(loaded.command.options), "json", "context", "help"];
  return { name, summary, options: options.map((option) => `--${option}`) };
}

const firstWords = (all: readonly Completed[]) => [
  ...new Set(all.map(({ name }) => name.split(" ")[0] ?? name)),
];

/** The second words of two-word commands, by their first. */
function secondWords(all: readonly Completed[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { name } of all) {
    const [first = "", second] = name.split(" ");
    if (second !== undefined) found.set(first, [...(found.get(first) ?? []), second]);
  }
  return found;
}

function bash(all: readonly Completed[]): string {
  const seconds = [...secondWords(all)].map(
    ([first, words]) => `    ${first}) candidates="${words.join(" ")}";;`,
  );
  const optionsOf = (some: readonly Completed[]) =>
    some
      .map(({ name, options }) => `    "${name}") candidates="${options.join(" ")}";;`)
      .join("\n");
  const ofTwoWords = all.filter(({ name }) => name.includes(" "));
  const ofOneWord = all.filter(({ name }) => !name.includes(" "));
  return `_micro() {
  local word="\${COMP_WORDS[COMP_CWORD]}" first="\${COMP_WORDS[1]}" second="\${COMP_WORDS[2]}" candidates=""
  if [ "$COMP_CWORD" -eq 1 ]; then candidates="${firstWords(all).join(" ")}"
  elif [[ "$word" == -* ]]; then case "$first" in
${optionsOf(ofOneWord)}
    *) case "$first $second" in
${optionsOf(ofTwoWords)}
    esac;;
    esac
  elif [ "$COMP_CWORD" -eq 2 ]; then case "$first" in
${seconds.join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -W "$candidates" -- "$word"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$word"))
}
complete -o filenames -F _micro micro`;
}

/** Zsh runs bash's functions. */
function zsh(all: readonly Completed[]): string {
  return `autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n${bash(all)}`;
}

function fish(all: readonly Completed[]): string {
  const seconds = secondWords(all);
  const lines = firstWords(all).map((word) => {
    const summary =
      all.find(({ name }) => name === word)?.summary ?? `${seconds.get(word)?.join(", ")}`;
    return `complete -c micro -n __fish_use_subcommand -f -a ${word} -d '${summary.replaceAll("'", "\\'")}'`;
  });
  for (const [first, words] of seconds) {
    const condition = `'__fish_seen_subcommand_from ${first}; and not __fish_seen_subcommand_from ${words.join(" ")}'`;
    lines.push(`complete -c micro -n ${condition} -f -a '${words.join(" ")}'`);
  }
  for (const { name, options } of all) {
    const seen = name
      .split(" ")
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join("; and ");
    for (const option of options)
      lines.push(`complete -c micro -n '${seen}' -l ${option.slice(2)}`);
  }
  return lines.join("\n");
}

const scripts: Readonly<Record<(typeof shells)[number], (all: readonly Completed[]) => string>> = {
  bash,
  zsh,
  fish,
};
