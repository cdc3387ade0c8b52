"""model.py PORT LOG [STORY]: a stand-in for the models' APIs. Answers a tool call when the newest text holds [[tool:NAME {json}]], else
text. With a story, a JSON list of {"when": PATTERN, "say": TEXT} or {"when": PATTERN, "tool": NAME, "arguments": {…}}, the first rule whose
pattern is in the newest text answers."""
import html, json, re, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOG = open(sys.argv[2], "a", buffering=1)
STORY = json.load(open(sys.argv[3])) if len(sys.argv) > 3 else []

def newest(messages):
    """The texts after the last assistant message."""
    out = []
    for message in messages:
        if message.get("role") == "assistant":
            out = []
            continue
        content = message.get("content") or message.get("output")
        parts = [{"text": content}] if isinstance(content, str) else content or []
        for part in parts:
            text = part.get("text") or part.get("content") or part.get("output") or ""
            if isinstance(text, list):
                text = " ".join(p.get("text", "") for p in text if isinstance(p, dict))
            out.append((message.get("role"), part.get("type", "text"), text))
    return out

def inbox(news):
    """The arguments of get_messages: for the first agent that the newest notice is for."""
    to = re.findall(r'<team-table to=."?([^"\\>]+)', html.unescape(json.dumps(news)))
    return json.dumps({"agent_name": to[-1].split(",")[0]} if to else {})

def named(call, tools):
    """A client's own name of the tool to call, and the arguments; None for both where it offers no such tool."""
    name = call and next((tool for tool in tools if tool.endswith(call[0])), None)
    return (name, call[1]) if name else (None, None)

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    said = "All right."
    def log_message(self, *args): pass
    def do_GET(self): self.answer({"data": []})
    def do_HEAD(self): self.answer({})
    def answer(self, body, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(200); self.send_header("content-type", kind); self.send_header("content-length", str(len(data))); self.end_headers(); self.wfile.write(data)
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        if "count_tokens" in self.path: return self.answer({"input_tokens": 10})
        if self.path.split("?")[0].endswith("/messages"): return self.anthropic(body)
        if self.path.split("?")[0].endswith("/responses"): return self.openai(body)
        if self.path.split("?")[0].endswith("/chat/completions"): return self.chat(body)
        if "enerateContent" in self.path: return self.google(body)
        self.answer({})
    def decide(self, news, tools, all_messages):
        """The tool to call and its arguments as JSON, or None for text."""
        title = not tools
        # Qwen Code escapes what a hook says.
        text = html.unescape("\n".join(t for _, _, t in news))
        LOG.write(json.dumps({"at": time.time(), "path": self.path, "news": news, "tools": tools}) + "\n")
        for rule in STORY:
            if re.search(rule["when"], text, re.S):
                time.sleep(rule.get("after", 0))
                self.said = rule.get("say", "")
                return (rule["tool"], json.dumps(rule["arguments"])) if "tool" in rule else None
        found = re.findall(r"\[\[tool:(\S+) (\{.*?\})\]\]", text)
        if found: return found[-1]
        results = [t for _, k, t in news if k == "tool_result"]
        last = results[-1] if results else ""
        notice = "<team-table" in text
        if last.startswith("{") and '"messages"' in last:
            found = [m for m in json.loads(last).get("messages", []) if "PING" in m["content"]]
            if found:
                m = found[-1]
                return ("send_message", json.dumps({"sender": m["recipient"], "recipient": m["sender"], "content": "PING", "reply_to": m["id"]}))
        if "team-table__get_messages" in last: return ("get_messages", inbox(all_messages))
        if last and not notice: return None
        if "<team-table" in text and "get_messages" in text and not title:
            return ("get_messages", inbox(all_messages))
        if "[team-table] New messages" in text and not title: return ("get_messages", inbox(all_messages))
        return None
    def anthropic(self, body):
        tools = [t["name"] for t in body.get("tools", [])]
        messages = body["messages"]
        call = self.decide(newest(messages), tools, messages)
        events = [("message_start", {"message": {"id": "msg_%d" % int(time.time()*1e6), "type": "message", "role": "assistant", "model": body.get("model"), "content": [], "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1}}})]
        name, arguments = named(call, tools)
        if call and not name and "ToolSearch" in tools:  # Claude Code defers what was not connected when it first asked
            name, arguments = "ToolSearch", json.dumps({"query": f"select:mcp__plugin_team-table_team-table__{call[0]}"})
        if name:
            events += [("content_block_start", {"index": 0, "content_block": {"type": "tool_use", "id": "toolu_%d" % int(time.time()*1e6), "name": name, "input": {}}}),
                       ("content_block_delta", {"index": 0, "delta": {"type": "input_json_delta", "partial_json": arguments}}),
                       ("content_block_stop", {"index": 0}), ("message_delta", {"delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}})]
        else:
            events += [("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
                       ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": self.said}}),
                       ("content_block_stop", {"index": 0}), ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}})]
        events.append(("message_stop", {}))
        self.answer("".join("event: %s\ndata: %s\n\n" % (k, json.dumps({"type": k, **v})) for k, v in events).encode(), "text/event-stream")
    def openai(self, body):
        news = newest([dict(i, role=i.get("role", "tool" if "output" in i.get("type","") else "assistant")) for i in body.get("input", []) if i.get("type") != "reasoning"])
        call = self.decide(news, ["get_messages"], news)
        item = {"type": "message", "role": "assistant", "id": "m1", "content": [{"type": "output_text", "text": self.said}]}
        if call:
            name, arguments = call
            of_table = {} if name == "exec_command" else {"namespace": "mcp__team_table"}
            item = {"type": "function_call", **of_table, "name": name, "arguments": arguments, "call_id": "c%d" % int(time.time()*1e6)}
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        events = [{"type": "response.created", "response": {"id": "r1"}}, {"type": "response.output_item.done", "output_index": 0, "item": item}, {"type": "response.completed", "response": {"id": "r1", "usage": usage}}]
        self.answer("".join("event: %s\ndata: %s\n\n" % (e["type"], json.dumps(e)) for e in events).encode(), "text/event-stream")

    def chat(self, body):
        tools = [t["function"]["name"] for t in body.get("tools", [])]
        news = [(role, "tool_result" if role == "tool" else kind, text) for role, kind, text in newest(body["messages"])]
        call = self.decide(news, tools, news)
        name, arguments = named(call, tools)
        if call and not name and "tool_call" in tools:  # Qwen Code keeps the tools of servers, and most of its own, behind it
            full = call[0] if call[0] == "run_shell_command" else f"mcp__team-table__{call[0]}"
            name, arguments = "tool_call", json.dumps({"name": full, "arguments": json.loads(call[1])})
        delta, end = {"role": "assistant", "content": self.said}, "stop"
        if name:
            function = {"name": name, "arguments": arguments}
            delta, end = {"role": "assistant", "tool_calls": [{"index": 0, "id": "call_%d" % int(time.time()*1e6), "type": "function", "function": function}]}, "tool_calls"
        chunk = lambda delta, end=None, **more: {"id": "c1", "object": "chat.completion.chunk", "created": int(time.time()), "model": body.get("model"), "choices": [{"index": 0, "delta": delta, "finish_reason": end}], **more}
        if not body.get("stream"):
            return self.answer({"id": "c1", "object": "chat.completion", "created": int(time.time()), "model": body.get("model"), "choices": [{"index": 0, "message": delta, "finish_reason": end}], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
        events = [chunk(delta), chunk({}, end, usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})]
        self.answer(("".join("data: %s\n\n" % json.dumps(e) for e in events) + "data: [DONE]\n\n").encode(), "text/event-stream")

    def google(self, body):
        messages = []
        for content in body.get("contents", []):
            parts = [{"type": "tool_result", "text": json.dumps(part["functionResponse"].get("response"))} if "functionResponse" in part else part for part in content["parts"]]
            messages.append({"role": "assistant" if content.get("role") == "model" else "user", "content": parts})
        news = newest(messages)
        tools = [t["name"] for group in body.get("tools", []) for t in group.get("functionDeclarations", [])]
        call = self.decide(news, tools, news)
        name, arguments = named(call, tools)
        part = {"text": self.said}
        if name: part = {"functionCall": {"name": name, "args": json.loads(arguments)}}
        elif "json" in (body.get("generationConfig") or {}).get("responseMimeType", ""): part = {"text": '{"reasoning": "x", "model_choice": "flash", "complexity_score": 1, "complexity_reasoning": "x"}'}
        answer = {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}], "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}}
        if "stream" not in self.path: return self.answer(answer)
        self.answer(("data: %s\n\n" % json.dumps(answer)).encode(), "text/event-stream")

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
