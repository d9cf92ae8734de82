"""The bodies of probes: the same calls of the context in every language, and what they answer.

"js" is for TypeScript and JavaScript, "py" for Python with and without await, "rb" for Ruby.
"""

from __future__ import annotations

from typing import Any

ACCESS = {
    "js": """
out.push(context.traceId, context['traceId'])
out.push(context.emit === emit, context['logger'] === logger, context.flows, context.attempt)
out.push(req.body, req['pathParams'], req.queryParams, req.headers['x-one'], req.method, req.path)
out.push(typeof context.signal.aborted)
""",
    "py": """
out += [context.trace_id, context["trace_id"], context.traceId, context["traceId"]]
out += [context.emit == emit or context["emit"] is not None, context.logger is context["logger"]]
out += [context.flows, context["attempt"]]
out += [req.body, req["path_params"], req.queryParams, req["headers"]["x-one"], req.method]
out += [req["path"], req.pathParams == req.path_params, req.query_params == req["queryParams"]]
out += [sorted(set(context) & {"emit", "logger", "state", "streams", "traceId", "flows"})]
""",
    "rb": """
out.push(context.trace_id, context[:trace_id], context['trace_id'])
out.push(context.traceId, context[:traceId], context['traceId'])
out.push(context[:logger].equal?(context.logger), context['flows'], context.attempt)
out.push(req.body, req[:path_params], req['queryParams'], req.headers['x-one'], req[:method])
out.push(req['path'], req[:pathParams] == req.path_params, context.cancelled?)
""",
}

STATE = {
    "js": """
out.push(await state.get('GROUP', 'none'), await state.delete('GROUP', 'none'))
out.push(await state.set('GROUP', 'a', { n: 1, deep: { list: [1, 'zwei', null] } }))
out.push(await state.get('GROUP', 'a'), await context.state.get('GROUP', 'a'))
for (const [key, value] of [0, false, '', [], {}, null].entries()) {
  await state.set('GROUP.falsy', String(key), value)
  out.push(await state.get('GROUP.falsy', String(key)))
}
out.push(await state.getGroup('GROUP.falsy'), await state.getGroup('GROUP.nobody'))
out.push(await state.delete('GROUP', 'a'), await state.get('GROUP', 'a'))
out.push(await state.clear('GROUP.falsy'), await state.getGroup('GROUP.falsy'))
out.push(await state.increment('GROUP', 'n'), await state.increment('GROUP', 'n', 5))
out.push(await state.increment('GROUP', 'n', -2.5))
out.push(await state.update('GROUP', 'doc', [
  { op: 'set', path: 'a.b', value: 1 }, { type: 'append', path: 'list', value: 'x' },
  { op: 'merge', value: { z: true } }, { op: 'increment', path: ['a', 'b'], value: 2 },
]))
out.push(await state.update('GROUP', 'doc', [{ op: 'remove', path: 'list.0' }]))
out.push(await state.compareAndSet('GROUP', 'cas', null, 'one'))
out.push(await state.compareAndSet('GROUP', 'cas', null, 'two'))
out.push(await state.compareAndSet('GROUP', 'cas', 'one', { two: 2 }))
out.push(await state.get('GROUP', 'cas'))
try { await state.set('GROUP', 'cas', 1, { expect: 'other' }) } catch (e: any) { out.push(e.code) }
try { await state.update('GROUP', 'doc', [{ op: 'append', path: 'z', value: 1 }]) }
catch (e: any) { out.push(e.message) }
const groups = await state.groups()
out.push(groups.includes('GROUP'), groups.includes('GROUP.falsy'))
out.push((await state.listGroups()).length === groups.length)
await state.trace.set('k', 'of this trace')
out.push(await state.trace.get('k'), await state.get(context.traceId, 'k'))
out.push(await state.trace.getGroup(), await state.trace.increment('m'), await state.trace.clear())
await state.set('GROUP', 'short', 1, { ttlMs: 40 })
let left = 500
while ((await state.get('GROUP', 'short')) !== null && left--) await pause(10)
out.push(left > 0)
""",
    "py": """
out.extend([await state.get("GROUP", "none"), await state.delete("GROUP", "none")])
out.append(await state.set("GROUP", "a", {"n": 1, "deep": {"list": [1, "zwei", None]}}))
out.extend([await state.get("GROUP", "a"), await context.state.get("GROUP", "a")])
for key, value in enumerate([0, False, "", [], {}, None]):
    await state.set("GROUP.falsy", str(key), value)
    out.append(await state.get("GROUP.falsy", str(key)))
out.extend([list(await state.get_group("GROUP.falsy")), list(await state.getGroup("GROUP.nobody"))])
out.extend([await state.delete("GROUP", "a"), await state.get("GROUP", "a")])
out.extend([await state.clear("GROUP.falsy"), list(await state.get_group("GROUP.falsy"))])
out.extend([await state.increment("GROUP", "n"), await state.increment("GROUP", "n", 5)])
out.append(await state.increment("GROUP", "n", by=-2.5))
out.append(await state.update("GROUP", "doc", [
    {"op": "set", "path": "a.b", "value": 1}, {"type": "append", "path": "list", "value": "x"},
    {"op": "merge", "value": {"z": True}}, {"op": "increment", "path": ["a", "b"], "value": 2},
]))
out.append(await state.update("GROUP", "doc", [{"op": "remove", "path": "list.0"}]))
out.append(await state.compare_and_set("GROUP", "cas", None, "one"))
out.append(await state.compareAndSet("GROUP", "cas", None, "two"))
out.append(await state.compare_and_set("GROUP", "cas", "one", {"two": 2}))
out.append(await state.get("GROUP", "cas"))
try:
    await state.set("GROUP", "cas", 1, expect="other")
except Exception as error:
    out.append(error.code)
try:
    await state.update("GROUP", "doc", [{"op": "append", "path": "z", "value": 1}])
except Exception as error:
    out.append(str(error))
groups = await state.groups()
out.extend(["GROUP" in groups, "GROUP.falsy" in groups])
out.append(len(await state.list_groups()) == len(await state.listGroups()) == len(groups))
await state.trace.set("k", "of this trace")
out.extend([await state.trace.get("k"), await state.get(context.trace_id, "k")])
out.append(list(await state.trace.get_group()))
out.extend([await state.trace.increment("m"), await state.trace.clear()])
await state.set("GROUP", "short", 1, ttl_ms=40)
left = 500
while (await state.get("GROUP", "short")) is not None and left:
    left -= 1
    await pause(10)
out.append(left > 0)
""",
    "rb": """
out.push(state.get('GROUP', 'none'), state.delete('GROUP', 'none'))
out.push(state.set('GROUP', 'a', { n: 1, deep: { list: [1, 'zwei', nil] } }))
out.push(state.get('GROUP', 'a'), context.state.get('GROUP', 'a'))
[0, false, '', [], {}, nil].each_with_index do |value, key|
  state.set('GROUP.falsy', key.to_s, value)
  out.push(state.get('GROUP.falsy', key.to_s))
end
out.push(state.get_group('GROUP.falsy'), state.getGroup('GROUP.nobody'))
out.push(state.delete('GROUP', 'a'), state.get('GROUP', 'a'))
out.push(state.clear('GROUP.falsy'), state.get_group('GROUP.falsy'))
out.push(state.increment('GROUP', 'n'), state.increment('GROUP', 'n', 5))
out.push(state.increment('GROUP', 'n', -2.5))
out.push(state.update('GROUP', 'doc', [
  { op: 'set', path: 'a.b', value: 1 }, { type: 'append', path: 'list', value: 'x' },
  { op: 'merge', value: { z: true } }, { op: 'increment', path: ['a', 'b'], value: 2 }
]))
out.push(state.update('GROUP', 'doc', [{ op: 'remove', path: 'list.0' }]))
out.push(state.compare_and_set('GROUP', 'cas', nil, 'one'))
out.push(state.compareAndSet('GROUP', 'cas', nil, 'two'))
out.push(state.compare_and_set('GROUP', 'cas', 'one', { two: 2 }))
out.push(state.get('GROUP', 'cas'))
begin
  state.set('GROUP', 'cas', 1, expect: 'other')
rescue => e
  out.push(e.code)
end
begin
  state.update('GROUP', 'doc', [{ op: 'append', path: 'z', value: 1 }])
rescue => e
  out.push(e.message)
end
groups = state.groups
out.push(groups.include?('GROUP'), groups.include?('GROUP.falsy'))
out.push(state.list_groups.length == groups.length && state.listGroups.length == groups.length)
state.trace.set('k', 'of this trace')
out.push(state.trace.get('k'), state.get(context.trace_id, 'k'))
out.push(state.trace.get_group, state.trace.increment('m'), state.trace.clear)
state.set('GROUP', 'short', 1, ttl_ms: 40)
left = 500
while !state.get('GROUP', 'short').nil? && (left -= 1).positive?
  pause(10)
end
out.push(left.positive?)
""",
}
_A = {"n": 1, "deep": {"list": [1, "zwei", None]}}
_FALSY: list[Any] = [0, False, "", [], {}, None]
STATE_ANSWERS: list[Any] = [
    *(None, None, _A, _A, _A),
    *_FALSY,
    *(_FALSY, [], _A, None, 6, []),
    *(1, 6, 3.5),
    {"a": {"b": 3}, "list": ["x"], "z": True},
    {"a": {"b": 3}, "list": [], "z": True},
    *(True, False, True, {"two": 2}, "conflict"),
    "z: append needs a list, not boolean",
    *(True, False, True),
    *("of this trace", "of this trace", ["of this trace"], 1, 2),
    True,
]

EMIT = {
    "js": """
await emit({ topic: 'seen', data: { n: 'plain' } })
await context.emit({ topic: 'seen', data: { n: 'attribute' } })
await context['emit']({ topic: 'seen', data: { n: 'grouped' }, messageGroupId: 'g' })
emit({ topic: 'seen', data: { n: 'not awaited' } })
await emit({ topic: 'seen' })
const first = await emit({ topic: 'seen', data: { n: 'once' }, id: 'GROUP' })
const again = await emit({ topic: 'seen', data: { n: 'twice' }, id: 'GROUP' })
out.push(JSON.stringify(first) === JSON.stringify(again))
const now = Date.now()
await emit({ topic: 'seen', data: { n: 'delay', after: now + 150 }, delay: 150 })
await emit({ topic: 'seen', data: { n: 'delaySeconds', after: now + 150 }, delaySeconds: 0.15 })
await emit({ topic: 'seen', data: { n: 'at', after: now + 150 }, at: now + 150 })
await emit({ topic: 'seen', data: { n: 'at date', after: now + 150 }, at: new Date(now + 150) })
const text = new Date(now + 150).toISOString()
await emit({ topic: 'seen', data: { n: 'at text', after: now + 150 }, at: text })
for (const wrong of [{ data: 1 }, undefined, { topic: '' }]) {
  try { await emit(wrong) } catch (e: any) { out.push(e.message) }
}
""",
    "py": """
import datetime
await emit({"topic": "seen", "data": {"n": "plain"}})
await context.emit({"topic": "seen", "data": {"n": "attribute"}})
await context["emit"]({"topic": "seen", "data": {"n": "grouped"}, "message_group_id": "g"})
emit({"topic": "seen", "data": {"n": "not awaited"}})
await emit({"topic": "seen"})
first = await emit({"topic": "seen", "data": {"n": "once"}, "id": "GROUP"})
again = await emit({"topic": "seen", "data": {"n": "twice"}, "id": "GROUP"})
out.append(first == again)
now = time.time_ns() // 1_000_000
await emit({"topic": "seen", "data": {"n": "delay", "after": now + 150}, "delay": 150})
await emit({"topic": "seen", "data": {"n": "delaySeconds", "after": now + 150},
            "delaySeconds": 0.15})
await emit({"topic": "seen", "data": {"n": "at", "after": now + 150}, "at": now + 150})
date = datetime.datetime.fromtimestamp((now + 150) / 1000, datetime.timezone.utc)
await emit({"topic": "seen", "data": {"n": "at date", "after": now + 150}, "at": date})
await emit({"topic": "seen", "data": {"n": "at text", "after": now + 150}, "at": date.isoformat()})
for wrong in ({"data": 1}, None, {"topic": ""}):
    try:
        await emit(wrong)
    except Exception as error:
        out.append(str(error))
""",
    "rb": """
emit.call({ topic: 'seen', data: { n: 'plain' } })
context.emit({ topic: 'seen', data: { n: 'attribute' } })
context['emit'].call(topic: 'seen', data: { n: 'grouped' }, message_group_id: 'g')
emit.(topic: 'seen', data: { n: 'not awaited' })
emit.call(topic: 'seen')
first = emit.call(topic: 'seen', data: { n: 'once' }, id: 'GROUP')
again = emit.call(topic: 'seen', data: { n: 'twice' }, id: 'GROUP')
out.push(first == again)
now = (Time.now.to_r * 1000).to_i
emit.call(topic: 'seen', data: { n: 'delay', after: now + 150 }, delay: 150)
emit.call(topic: 'seen', data: { n: 'delaySeconds', after: now + 150 }, delay_seconds: 0.15)
emit.call(topic: 'seen', data: { n: 'at', after: now + 150 }, at: now + 150)
date = Time.at(0, now + 150, :millisecond)
emit.call(topic: 'seen', data: { n: 'at date', after: now + 150 }, at: date)
emit.call(topic: 'seen', data: { n: 'at text', after: now + 150 }, at: date.iso8601(3))
[{ data: 1 }, nil, { topic: '' }].each do |wrong|
  emit.call(wrong)
rescue => e
  out.push(e.message)
end
""",
}
EMITTED = {
    *("plain", "attribute", "grouped", "not awaited", "once"),
    *("delay", "delaySeconds", "at", "at date", "at text"),
}
LATER = {"delay", "delaySeconds", "at", "at date", "at text"}

LOG = {
    "js": """
logger.debug('a debug record', { deep: { list: [1, null] } })
logger.info('an info record', { n: 1, text: 'ü' })
context['logger'].warn('a warning')
logger.error('an error record', { error: new RangeError('too far') })
logger.error('an error itself', new RangeError('too far'))
logger.log('a plain record')
console.log('printed', { a: 1 })
console.warn('printed as a warning')
console.error('printed as an error')
process.stdout.write('written\\n')
""",
    "py": """
import sys
logger.debug("a debug record", {"deep": {"list": [1, None]}})
logger.info("an info record", n=1, text="ü")
context["logger"].warning("a warning")
logger.error("an error record", {"error": IndexError("too far")})
logger.error("an error itself", IndexError("too far"))
logger.log("a plain record")
print("printed", {"a": 1})
print("printed as a warning", file=sys.stderr)
print("printed as an error", file=sys.stderr)
sys.stdout.write("written\\n")
""",
    "rb": """
logger.debug('a debug record', { deep: { list: [1, nil] } })
logger.info('an info record', n: 1, text: 'ü')
context['logger'].warn('a warning')
logger.error('an error record', { error: RangeError.new('too far') })
logger.error('an error itself', RangeError.new('too far'))
logger.log('a plain record')
puts 'printed ' + { a: 1 }.inspect
warn 'printed as a warning'
$stderr.puts 'printed as an error'
$stdout.write("written\\n")
""",
}

UNDECLARED = {
    "js": """
for (const n of [1, 2]) {
  try { await emit({ topic: 'GROUP.undeclared', data: { n } }); out.push('emitted') }
  catch (e: any) { out.push(e.message) }
}
await emit({ topic: 'GROUP.declared' })
""",
    "py": """
for n in (1, 2):
    try:
        await emit({"topic": "GROUP.undeclared", "data": {"n": n}})
        out.append("emitted")
    except Exception as error:
        out.append(str(error))
await emit({"topic": "GROUP.declared"})
""",
    "rb": """
[1, 2].each do |n|
  emit.call(topic: 'GROUP.undeclared', data: { n: n })
  out.push('emitted')
rescue => e
  out.push(e.message)
end
emit.call(topic: 'GROUP.declared')
""",
}

LARGE = {
    "js": """
const one = await state.getGroup('large')
out.push(one.length, one.reduce((sum: any, item: any) => sum + item.n, 0))
try { await state.getGroup('too large') } catch (e: any) { out.push(e.code) }
out.push((await state.get('large', '0')).n)
""",
    "py": """
one = await state.get_group("large")
out.extend([len(one), sum(item["n"] for item in one)])
try:
    await state.get_group("too large")
except Exception as error:
    out.append(error.code)
out.append((await state.get("large", "0"))["n"])
""",
    "rb": """
one = state.get_group('large')
out.push(one.length, one.sum { |item| item[:n] })
begin
  state.get_group('too large')
rescue => e
  out.push(e.code)
end
out.push(state.get('large', '0')[:n])
""",
}

COUNT = {
    "js": "await Promise.all([...Array(50)].map(() => state.increment('counted', 'n')))",
    "py": "await asyncio.gather(*(state.increment('counted', 'n') for _ in range(50)))",
    "rb": "50.times { state.increment('counted', 'n') }",
}

WITNESS = """
import time
config = {"type": "event", "name": "Witness", "subscribes": ["seen"]}
async def handler(data, context):
    arrived = time.time_ns() // 1_000_000
    key = data["n"] if data else "nothing"
    await context.state.update(f"seen.{context.trace_id}", key, [
        {"op": "append", "path": "arrived", "value": arrived},
        {"op": "set", "path": "data", "value": data},
    ])
"""
