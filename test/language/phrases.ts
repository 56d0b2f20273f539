/** A phrase that reads as translated. */
export interface Phrase {
  /** Matched, in any case, against sentences whose line breaks are single spaces. */
  readonly pattern: RegExp;
  /** What to write instead. */
  readonly suggestion: string;
  /** A sentence with the phrase; its unit test plants it. */
  readonly bad: string;
  /** Idiomatic sentences that the pattern must not match. */
  readonly good?: readonly string[];
}

/** The verbs that follow the noun clause "What …" at the start of a sentence. */
const clauseVerbs =
  "is|are|was|were|has|have|had|goes|comes|came|stands|stays|holds|needs|cannot|does not|takes|" +
  "waits|gives|makes|calls|reads|writes|sends|follows|remains|runs|counts|ends|fails|belongs";

/**
 * Phrases that `npm run check -- words` keeps out. Each has to be precise: one that also matches
 * idiomatic English costs more than it gives.
 */
export const phrases: readonly Phrase[] = [
  {
    pattern:
      /(?<!\bthere )\b(?:is|are|was|were|be|being) no (?!longer\b|more\b|less\b|fewer\b|different\b|better\b|worse\b|later\b|earlier\b|larger\b|bigger\b|smaller\b|higher\b|lower\b|faster\b|slower\b|exception\b|reason to\b|need\b|way to\b|match for\b)[a-z]+/,
    suggestion: '"is not a …" or "is not a valid …"',
    bad: "the value is no number",
    good: ["there is no number", "it is no longer than the limit", "There are no locks"],
  },
  {
    pattern: /\b(?:that|which|what|who|it|this|they|and) (?:is|are|was|were) none\b/,
    suggestion: '"is not one"',
    bad: "the event of a record, undefined if it is none",
    good: ["undefined if there is none", "the default is none"],
  },
  {
    pattern: /\bwhom\b/,
    suggestion: "name the actor and put the subject first",
    bad: "whom the response is for",
  },
  {
    pattern: /\b(?:by|to|of|from|for|tells?|says?|knows?|asks?|told) who\b/,
    suggestion: "name the actor: the caller, the peer, the holder",
    bad: "it depends on the lease and tells who holds it",
  },
  {
    pattern: /(?<=^|[.:;] )who(?:ever)? (?!am\b|are you\b)[a-z]+(?= [^?]*(?:\.|$))/,
    suggestion: "name the actor: the caller, the peer, the holder",
    bad: "Who reads slowly gets fewer messages.",
    good: ["The caller, who waits.", "Who is it?"],
  },
  {
    pattern: /\banew\b/,
    suggestion: '"again", "restart", "reconnect"',
    bad: "starts the process anew",
  },
  {
    pattern: /\b(?:tells?|told) (?:of|itself|themselves)\b/,
    suggestion: '"reports", "exposes", "describes"',
    bad: "a service tells of its methods",
  },
  {
    pattern: /\bwhat (?:it|they|a \w+|the \w+|\w+) (?:tells?|told)\b/,
    suggestion: '"what it reports"',
    bad: "what a service tells about its calls",
  },
  {
    pattern: /\bmanieth\b/,
    suggestion: '"how many times"',
    bad: "for the how manieth time",
  },
  {
    pattern: /\bbeside\b/,
    suggestion: '"in addition to", "next to", "besides"',
    bad: "an index beside the map",
    good: ["side by side", "besides"],
  },
  {
    pattern: /\b(?:nobody|somebody|anybody)(?:'s)?\b/,
    suggestion: "name the actor: no caller, a subscriber, any process",
    bad: "nobody waits for it",
  },
  {
    pattern: /\b(?:any more(?= ?(?:[.,;:)]|$))|anymore\b)/,
    suggestion: '"no longer"',
    bad: "the call is not waiting any more",
    good: ["before any more bytes arrive"],
  },
  {
    pattern: /\b(?:given up|gave (?:it|them|the \w+) up|gives? (?:it|them|the \w+) up)\b/,
    suggestion: '"cancelled", "abandoned", "stops retrying"',
    bad: "a call that was given up",
    good: ["gives up after three attempts"],
  },
  {
    pattern:
      /\ban? \w+ of [\w-]+'s(?=[.,;:)]|$| (?:as|and|or|that|which|is|was|has|does|by|on|over|with|in|to|of|at|for|from|can|may)\b)/,
    suggestion: "use the name as an adjective: a go-micro program",
    bad: "talks to a program of go-micro's, as it is",
    good: ["a client of go-micro's gRPC plugin"],
  },
  {
    pattern:
      /\b(?:goes|go) over (?:the (?!wire|network|connection|limit|same|socket|link)|its|it\b|a )/,
    suggestion: '"overrides"',
    bad: "the option goes over the default",
    good: ["the call goes over the network"],
  },
  {
    pattern: /\bsees? to (?:its|their|it|the|a|that|this)\b/,
    suggestion: '"manages", "handles"',
    bad: "drivers that see to their own end",
  },
  {
    pattern: /\bmend(?:s|ed|ing)?\b/,
    suggestion: '"fix", "repair"',
    bad: "mend or remove the file",
    good: ["recommended", "amended"],
  },
  {
    pattern: /\bremed(?:y|ies)\b/,
    suggestion: '"fix"',
    bad: "an error with file, line and remedy",
  },
  {
    pattern: /\bwhere (?:\S+ ){1,6}is due\b/,
    suggestion: '"expected …"',
    bad: "returned a promise where an async iterable is due",
  },
  {
    pattern: /\bas (?:it|they) should be\b/,
    suggestion: '"valid", "correct", or what is wrong',
    bad: "a source that is not as it should be",
  },
  {
    pattern: new RegExp(
      `(?<=^|[.:;] )what(?:ever)? (?:${clauseVerbs})\\b(?=[^?]*(?:[.;:]|$))(?![^.;:]*\\?)`,
    ),
    suggestion: "put the subject first and name it",
    bad: "What is not a list would seem empty.",
    good: ["What is a driver?", "Reports what is wrong.", "What it costs"],
  },
  {
    pattern:
      /\bwhat is (?:no|not an?|an?) (?!service|driver|registry|broker)\w+ (?:is|are|was|were|would|cannot|has|goes)\b/,
    suggestion: "put the subject first and name it",
    bad: "skips what is not a list is skipped",
  },
  {
    pattern: /\bthe ones? of\b/,
    suggestion: '"that of", or a possessive: main\'s schema',
    bad: "compatible with the one of the main branch",
    good: ["one of the nodes", "the one that leads"],
  },
  {
    pattern: /\bstands? (?:in (?!for\b|line\b|the way\b)|at the|on the)/,
    suggestion: '"is in", "is at"',
    bad: "the timeout stands in the schema",
    good: ["stands in for the server"],
  },
  {
    pattern: /\b(?:that|which|one|it) lies (?:in|at|on)\b/,
    suggestion: '"is in", "is at"',
    bad: "a clone that lies in a folder",
  },
  {
    pattern: /\b(?:bears?|bore) (?!in mind|with\b|witness)/,
    suggestion: '"allows", "tolerates", "carries", "has"',
    bad: "servers do not bear any number of resets",
    good: ["Bearer tokens"],
  },
  {
    pattern: /\b(?:when|if|as|what|that|unless|whichever way) one (?:asks|wants|needs|must)\b/,
    suggestion: 'the actor, or "you"',
    bad: "unless one asks for it",
  },
  {
    pattern: /\bwhat (?:came|comes) of\b/,
    suggestion: '"the result of"',
    bad: "the faults, and what came of them",
  },
  {
    pattern: /\bwarned of\b/,
    suggestion: '"triggers a warning", "logs a warning"',
    bad: "a misspelled name is warned of",
  },
  {
    pattern: /\bwithout blanks\b/,
    suggestion: '"without whitespace"',
    bad: "text without blanks",
  },
  {
    pattern: /\bthe least (?:level|number|count|version|size|value)\b/,
    suggestion: '"minimum"',
    bad: "the least level that is logged",
  },
  {
    pattern:
      /\bhalf an? (?!dozen|second|minute|hour|day|million|gigabyte|megabyte|kilobyte|cent\b|percent)[a-z]+/,
    suggestion: '"a partial …", "a truncated …"',
    bad: "leaves half a file behind",
    good: ["waits half a second"],
  },
  {
    pattern: /\b(?:can be|to be|is to be|are to be|could be) had\b/,
    suggestion: '"is available"',
    bad: "steps that can be had by callback",
  },
  {
    pattern: /\bmakes? nothing of\b|\bknows? nothing of\b/,
    suggestion: '"ignores", "does not know", "is independent of"',
    bad: "the transport knows nothing of nodes",
  },
  {
    pattern:
      /\b(?:for want of|in want of|so as it is|as it is told|thereof|whereof|therein|wherein|thereupon|whereupon|hitherto|heretofore|hereby)\b/,
    suggestion: "plain words",
    bad: "the limits thereof",
  },
  {
    pattern: /\b(?:as|since|until|when) (?:it|they|he) (?:is|are|was|were) told (?:to|so)\b/,
    suggestion: '"on request", "when instructed"',
    bad: "stops when it is told to",
  },
  {
    pattern:
      /\b(?:an?|the|its|no|every|each|his|their|whose|first|last|other|own|late|early|empty|one|two|many|any|of|await) answers?\b(?! section|s? for the)/,
    suggestion: '"response" ("reply" for DNS and NATS)',
    bad: "waits for the answer",
    good: ["the server answers", "the answer section of a packet"],
  },
];
