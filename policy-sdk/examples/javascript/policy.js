/**
 * `money-and-production`: a message about money or about the production system is answered by a person, not by a daemon.
 */

const DEFAULTS = {
  /** Topic to words. A word stands for itself and its plural. */
  topics: {
    money: ["invoice", "payment", "refund", "budget", "price"],
    production: ["production", "prod", "customer data", "rollback", "outage"],
  },
  /** Whether an amount (`$ 20`, `1,500 EUR`) is about money. */
  amounts: true,
  /** Senders whose messages are not looked at. */
  trusted: [],
};

const AMOUNT = /[$€£]\s?\d[\d.,]{0,12}|\d[\d.,]{0,12}\s?(?:usd|eur|gbp|dollars?|euros?|pounds?)\b/i;

/** What `configure` prepared. The host takes a snapshot of the instance after it, and every evaluation starts from that. */
let trusted, rules;

const isWords = (value) => Array.isArray(value) && value.every((word) => typeof word === "string" && word.trim());
const escaped = (word) => word.trim().replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+");

function* complaints(settings) {
  for (const key of Object.keys(settings)) {
    if (!Object.hasOwn(DEFAULTS, key)) yield `there is no setting \`${key}\`, only ${Object.keys(DEFAULTS).join(", ")}`;
  }
  if (typeof settings.amounts !== "boolean") yield "`amounts` is neither true nor false";
  if (!isWords(settings.trusted)) yield "`trusted` is not a list of names";
  const topics = settings.topics !== null && typeof settings.topics === "object" ? Object.entries(settings.topics) : [];
  if (topics.length === 0) yield "`topics` is not a table of topics and their words";
  for (const [topic, words] of topics) {
    if (!/^[a-z][a-z0-9_]{0,40}$/.test(topic)) yield `topic \`${topic}\` is not a name of a-z, 0-9 and _`;
    if (!isWords(words) || words.length === 0) yield `topic \`${topic}\` is not a list of words`;
  }
}

export const metadata = {
  configure(json) {
    const settings = { ...DEFAULTS, ...JSON.parse(json) };
    const wrong = [...complaints(settings)];
    if (wrong.length > 0) throw wrong;

    trusted = new Set(settings.trusted);
    rules = Object.entries(settings.topics).map(([topic, words]) => {
      return { topic, pattern: new RegExp(`\\b(?:${words.map(escaped).join("|")})s?\\b`, "i") };
    });
    if (settings.amounts) rules.push({ topic: "money", pattern: AMOUNT });
    // A regular expression is compiled when it is first used: now, not in every evaluation.
    rules.forEach(({ pattern }) => pattern.test(""));
    return {
      name: "money-and-production",
      version: "1.0.0",
      summary: "a message about money or production is answered by a person",
      facts: [],
    };
  },
};

export const escalator = {
  review(message, _facts) {
    if (trusted.has(message.sender.name)) return { tag: "pass" };
    const found = rules.flatMap(({ topic, pattern }) => {
      const match = pattern.exec(message.content);
      return match ? [{ topic, text: match[0] }] : [];
    });
    if (found.length === 0) return { tag: "pass" };
    const [{ topic, text }] = found;
    return {
      tag: "escalate",
      val: {
        code: `about_${topic}`,
        message: `this is about ${topic} ("${text}"): a person answers it`,
        notes: found.map((match) => `${match.topic}: ${match.text}`),
      },
    };
  },
};
