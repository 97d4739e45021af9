"""Print an access token of the demo's staff login: export TOKEN=$(make -s token)"""

import sys

import httpx

from local_stack import demo_data, place


def main() -> None:
    demo = place.remembered()
    if "stations" not in demo:
        sys.exit("there is no demo yet; start it with: make run")
    login = demo["login"]
    try:
        print(demo_data.token(demo["urls"]["identity"], login["email"], login["password"]))
    except (httpx.HTTPError, demo_data.Failed) as failed:
        sys.exit(f"no token: {failed}; is the stack running (make run)?")


if __name__ == "__main__":
    main()
