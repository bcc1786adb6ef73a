"""What REDbot says of answers: one request after the other, and a line of JSON for each answer that it looked at.

In: {"method","path","headers"} in JSON, a line each; the headers are [[name, value], ...]. The argument is where the
server is, as http://address. Out: {"method","path","headers","of","status","notes":[{"level","note","says"}]}. The path
is that of the page's file where it is about one. `of` names REDbot's own request: "default", or one of its probes for
compression, ranges and conditional requests. REDbot's command line shows no levels.
"""

import json
import sys
from configparser import ConfigParser

import thor
from redbot.resource import HttpResource

# Longer than any answer takes.
PATIENCE_SECONDS = 60


def all_of(notes):
    """These notes and those below them."""
    for note in notes:
        yield {"level": note.level.value, "note": type(note).__name__, "says": note.summary}
        yield from all_of(note.subnotes)


def tell(server, asked, fetch, of):
    notes = [n for answer in [*fetch.nonfinal_responses, fetch.response] for n in all_of(answer.notes)]
    if fetch.fetch_error is not None:
        says = f"{fetch.fetch_error.desc} {fetch.fetch_error.detail or ''}"
        notes.append({"level": "bad", "note": "FETCH_ERROR", "says": says})
    path = fetch.request.uri.removeprefix(server)
    told = asked | {"path": path, "of": of, "status": fetch.response.status_code, "notes": notes}
    print(json.dumps(told))


def judge(config, server, requests):
    """The first of them, and then the others."""
    if not requests:
        thor.stop()
        return
    asked, *others = requests
    method = asked["method"]
    # The probes compare contents, and only an answer to GET has one.
    resource = HttpResource(config, descend=True, active_checks_enabled=method == "GET")
    for fetch in [resource, *resource.subreqs.values()]:
        # REDbot leaves its linter to guess what an answer is to; told it, the linter looks at more.
        fetch.response.request = fetch.request
    resource.set_request(server + asked["path"], method, asked["headers"])

    def give_up():
        sys.exit(f"{asked}: not done within {PATIENCE_SECONDS} s")

    late = thor.schedule(PATIENCE_SECONDS, give_up)

    def done():
        late.delete()
        tell(server, asked, resource, resource.check_id)
        for name, probe in resource.subreqs.items():
            if probe.fetch_started:
                tell(server, asked, probe, name)
        for linked, _ in resource.linked:
            tell(server, asked, linked, "linked")
        thor.schedule(0, judge, config, server, others)

    resource.once("check_done", done)
    resource.check()


def main():
    parser = ConfigParser()
    parser.read_dict({"redbot": {"enable_local_access": "True"}})
    judge(parser["redbot"], sys.argv[1], [json.loads(line) for line in sys.stdin])
    thor.run()


main()
