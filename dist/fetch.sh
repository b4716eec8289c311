#!/bin/sh
# Gets the nuget-login that release.txt names, checks its bytes against the SHA-256 there, and runs it. For Linux and
# macOS: plain POSIX, for dash, bash and busybox alike.
#
# What runs is always a private copy that was checked in this very run, also when it comes from the tool cache, which
# other jobs can write to. Whatever is wrong ends here, with an error that names the mend.
#
# From action.yml: ACTION_BINARY and ACTION_MIRROR (both may be empty), and the INPUT_* that the binary reads.
set -eu
LC_ALL=C
export LC_ALL
umask 077

here=${0%/*}
releases=https://github.com/org/nuget-login/releases/download
largest=16384 # KiB of an asset; a release has under 3,000
private='' busy='' job='' watcher='' said_why=''

# The end, after a signal too. No process and no file is left behind, and a failure has an error message.
finish() {
    trap '' INT TERM
    trap - EXIT
    if [ -n "$busy" ]; then
        # `$!` is a process that is not in a variable yet. PROF, which neither a shell nor a tool handles: what a shell
        # starts in the background ignores INT, and can lose a signal while it is still a copy of the shell.
        for process in $job $watcher ${!-}; do kill -s PROF "$process" || true; done
        wait || wait || true # the first one can end with the signal that led here
    fi 2>/dev/null
    [ -z "$private" ] || rm -rf "$private"
    [ "$1" = 0 ] || [ -n "$said_why" ] || [ "$1" -gt 128 ] ||
        printf '::error title=NuGet login failed::fetch.sh ended with exit code %s: see the lines above\n' "$1"
    exit "$1"
}
trap 'finish $?' EXIT
trap 'finish 130' INT
trap 'finish 143' TERM

# One annotation, and the end. No control character is left in it and the runner's escape is escaped, so that a path or
# a tool's message can't be a command of its own.
fail() {
    printf '::error title=NuGet login failed::%s\n' "$(one_line "$1")"
    said_why=1
    exit 1
}

one_line() {
    printf %s "$1" | tr '\000-\037\177' ' ' | sed 's/%/%25/g'
}

# Runs a command for so many seconds at most; `said` is its output, on one line. In the background, since a shell runs
# its traps only after a command in the foreground has ended, but at once while it waits.
limited() { # seconds command …
    seconds=$1 said='' code=0
    shift
    # The first byte takes a block, so that a message about a full disk can be written.
    printf ' ' >"$private/said"
    busy=1
    "$@" >>"$private/said" 2>&1 &
    job=$!
    (
        # Its own `sleep` ends with it.
        trap '[ "$!" = "$job" ] || { kill -s KILL "$!"; wait "$!"; }; exit' PROF
        sleep "$seconds" &
        wait "$!" && kill "$job"
    ) >/dev/null 2>&1 &
    watcher=$!
    wait "$job" || code=$?
    kill -s PROF "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
    busy='' job='' watcher=''
    while read -r line || [ -n "$line" ]; do said="$said${said:+ }$line"; done <"$private/said"
    [ "$code" != 143 ] || said="${said}ended after $seconds seconds"
    return "$code"
}

# Runs the login, and ends as it does. Not by `exec`: something has to remove the private copy afterwards.
login() { # program
    said_why=1 code=0 busy=1
    "$1" &
    job=$!
    wait "$job" || code=$?
    busy=
    return "$code"
}

# The SHA-256 of a file, in lower case.
if command -v sha256sum >/dev/null 2>&1; then
    sha256() { sha256sum <"$1" | cut -c 1-64; }
elif command -v shasum >/dev/null 2>&1; then
    sha256() { shasum -a 256 <"$1" | cut -c 1-64; }
elif command -v openssl >/dev/null 2>&1; then
    sha256() { openssl dgst -sha256 -r <"$1" | cut -c 1-64; }
else
    fail "nothing here can check a SHA-256: install sha256sum, shasum or openssl"
fi

# Which release, and which of its assets.
case ${RUNNER_OS:-$(uname -s)}-${RUNNER_ARCH:-$(uname -m)} in
Linux-X64 | Linux-x86_64 | Linux-amd64) target=x86_64-unknown-linux-musl ;;
Linux-ARM64 | Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-musl ;;
macOS-X64 | Darwin-x86_64) target=x86_64-apple-darwin ;;
macOS-ARM64 | Darwin-arm64) target=aarch64-apple-darwin ;;
*) target= ;;
esac
version='' asset='' digest='' named=0
while read -r name value more rest || [ -n "$name" ]; do
    case $name in
    version) version=$value ;;
    "${target:-no target}")
        asset=$value
        case $rest$more in *[!0-9a-f]*) ;; "$more") digest=$more ;; esac
        named=$((named + 1))
        ;;
    esac
done <"$here/release.txt"

temp=${RUNNER_TEMP:-${TMPDIR:-/tmp}}
# In two steps and in the background: a bash that gets a signal can end without the result of $(…), or before `mkdir`.
private=$(mktemp -u "$temp/nuget-login.XXXXXX" 2>/dev/null) || private=
busy=1 code=0
mkdir "$private" 2>/dev/null &
wait "$!" || code=$?
busy=
if [ "$code" != 0 ]; then
    private=
    fail "no private folder can be made in $temp: is the disk full, or read-only?"
fi

# A binary that is installed already.
if [ -n "${ACTION_BINARY:-}" ]; then
    case $ACTION_BINARY in
    /*) ;;
    *) fail "the input \`binary\` is '$ACTION_BINARY': give an absolute path" ;;
    esac
    [ -f "$ACTION_BINARY" ] || fail "the input \`binary\` is '$ACTION_BINARY', where there is no plain file"
    limited 10 "$ACTION_BINARY" --version ||
        fail "the input \`binary\` is '$ACTION_BINARY', which cannot be run ($said): is it executable (chmod +x), and \
built for this system? This action needs nuget-login $version there"
    [ "$said" = "nuget-login $version" ] ||
        fail "the input \`binary\` is '$ACTION_BINARY' ($said): this action needs nuget-login $version there"
    printf '::notice title=NuGet login::%s\n' \
        "$(one_line "Using $ACTION_BINARY, SHA-256 $(sha256 "$ACTION_BINARY")")"
    login "$ACTION_BINARY"
    exit
fi

build="build nuget-login $version from source and name it in the input \`binary\`"
[ -n "$target" ] || fail "there is no release for ${RUNNER_OS:-$(uname -s)} ${RUNNER_ARCH:-$(uname -m)}: $build"
[ "$named" -gt 0 ] ||
    fail "this commit of the action names no release for $target: use a released version of the action, or $build"
[ "$named-$asset-${#digest}" = "1-nuget-login-$target-64" ] ||
    fail "release.txt of this action holds no SHA-256 for $target: use another commit of the action"

binary=$private/nuget-login
cache=${RUNNER_TOOL_CACHE:+$RUNNER_TOOL_CACHE/nuget-login/$version/$target}

# The cache is anybody's: what is not a regular file of a sane size is passed over, and the copy is what counts. It is
# read within bounds, since it may turn into something else meanwhile.
from_cache() {
    [ -n "$cache" ] || return 1
    [ -n "$(find "$cache/nuget-login" -prune -type f -size "-$((largest * 2))" 2>/dev/null)" ] || return 1
    limited 20 dd if="$cache/nuget-login" of="$binary" bs=65536 count=$((largest / 64)) || return 1
    [ "$(sha256 "$binary")" = "$digest" ] && return
    printf 'The copy of nuget-login in the tool cache is not the released one; it is passed over.\n'
    return 1
}

# All of it or nothing, for others on this machine. A cache that cannot be written is not used.
#
# Whoever can write there can swap a folder or a file for a link at any time, and nothing is written through one: each
# folder is made and entered from the one before, and its real path is compared (by a program, since bash answers from
# memory). The new file is opened once, with O_EXCL (`set -C`), under a name that cannot be known in advance. What remains:
# they can move or replace what is in the cache, which is why each use checks a private copy.
to_cache() {
    [ -n "$cache" ] || return 0
    (
        umask 022
        mkdir -p "$RUNNER_TOOL_CACHE" && cd -P "$RUNNER_TOOL_CACHE" || exit 0
        real=$(env pwd -P)
        for folder in nuget-login "$version" "$target"; do
            mkdir "$folder" || true
            cd -P "./$folder" || exit 0
            real=${real%/}/$folder
            [ "$(env pwd -P)" = "$real" ] || exit 0
        done
        [ ! -d nuget-login ] || exit 0
        new=$(mktemp -u ./.new.XXXXXX) || exit 0
        set -C
        # Not into a folder that a link of this name leads to: -T in GNU and busybox, -h in macOS.
        cat "$binary" >"$new" && { mv -fT "$new" nuget-login || mv -fh "$new" nuget-login; } || rm -f "$new"
    ) >/dev/null 2>&1 || true
}

# One try, in a shell of its own, which becomes the downloader, so that a signal reaches that. No configuration file and
# no credentials are read; integrity rests on the digest, so that a tool that can't be told about protocols (wget)
# is good enough.
download() { # url
    # Not even to a core file.
    unset ACTIONS_ID_TOKEN_REQUEST_TOKEN ACTIONS_RUNTIME_TOKEN
    # An answer without an end is a failed write, and not a signal.
    # shellcheck disable=SC3045 # not POSIX, but in every sh there is
    ulimit -c 0 2>/dev/null || true
    trap '' XFSZ
    ulimit -f $((largest * 2)) 2>/dev/null || true
    protocol='=https' redirects=5
    case $1 in
    http://*)
        # A mirror on this machine, which no proxy stands before.
        protocol='=http' redirects=0
        unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
        ;;
    esac
    if command -v curl >/dev/null 2>&1; then
        exec curl -q --fail --location --max-redirs "$redirects" --silent --show-error --proto "$protocol" \
            --proto-redir '=https' --tlsv1.2 --connect-timeout 10 --max-time 60 --output "$binary" -- "$1"
    fi
    # wget reads lower case alone, and busybox's knows no proxy for https.
    https_proxy=${https_proxy:-${HTTPS_PROXY:-}}
    no_proxy=${no_proxy:-${NO_PROXY:-}}
    export https_proxy no_proxy
    if wget --version 2>/dev/null | grep -q 'GNU Wget'; then
        exec wget --no-config --no-netrc --no-hsts --no-verbose --tries=1 --timeout=20 \
            --max-redirect="$redirects" --output-document="$binary" -- "$1"
    elif [ -n "$https_proxy" ]; then
        echo "busybox's wget can't go through a proxy: install curl"
        exit 1
    else
        # Without -T, on which busybox 1.35 crashes.
        exec wget -q -O "$binary" "$1"
    fi
}

from_release() {
    base=${ACTION_MIRROR:-$releases}
    case $base in
    *[!A-Za-z0-9:/._~%+-]*) base= ;;
    https://?*) ;;
    http://127.0.0.1[:/]* | http://localhost[:/]* | http://127.0.0.1 | http://localhost) ;;
    *) base= ;;
    esac
    shown=${ACTION_MIRROR:-}
    case $shown in
    *@*) shown='***' ;; # it may hold a password
    esac
    shown=${shown%%[?#]*}
    [ -n "$base" ] || fail "the input \`mirror\` is '$shown': give an https URL without user, password, query or \
blanks (http is for loopback only)"
    command -v curl >/dev/null 2>&1 || command -v wget >/dev/null 2>&1 ||
        fail "neither curl nor wget is here: install one, or a nuget-login $version and name it in the input \`binary\`"
    url=${base%/}/v$version/$asset
    for pause in 1 3 end; do
        limited 65 download "$url" && return
        case $said in
        *'returned error: 404'* | *'ERROR 404'* | *'HTTP/1.'[01]' 404'*) code=404 ;;
        *'error: 408'* | *'ERROR 408'* | *'HTTP/1.'[01]' 408'* | *'response 408'* | *'HTTP code 408'*) ;; # temporary
        *'error: 429'* | *'ERROR 429'* | *'HTTP/1.'[01]' 429'* | *'response 429'* | *'HTTP code 429'*) ;; # as well
        *'error: 4'* | *'ERROR 4'* | *'HTTP/1.'[01]' 4'*) code=refused ;;
        *'tunnel failed, response 4'* | *'HTTP code 4'*' from proxy'* | *'tunneling failed: Forbidden'*) code=refused ;;
        *'(60)'* | *'cannot verify'*) code=certificate ;;
        *'(23)'* | *'No space'* | *'File too large'* | *'short write'*) code=23 ;;
        esac
        # Some tools put the proxy's password into their words.
        case ${https_proxy:-}${HTTPS_PROXY:-}${http_proxy:-}${HTTP_PROXY:-}${all_proxy:-}${ALL_PROXY:-} in
        *@*) said='(what the tool said is not shown: the proxy has a password)' ;;
        esac
        case $code in
        404) fail "$url is not there (404): is the mirror complete, or was the release taken back? $said" ;;
        refused) fail "$url is refused to this runner: is the mirror public (no credentials are sent), and does the proxy \
allow its host, if there is one? $said" ;;
        certificate) fail "the certificate of $url is not trusted here: is that of your company in the system's store? \
$said" ;;
        23) fail "$url can't be stored in $private: is the disk full? (It may have 16 MiB at most.) $said" ;;
        esac
        [ "$pause" = end ] || limited 10 sleep "$pause"
    done
    fail "$url can't be downloaded: can this runner reach it, through a proxy if it needs one? $said"
}

if ! from_cache; then
    from_release
    got=$(sha256 "$binary")
    [ "$got" = "$digest" ] || fail "$url is not what was released: its SHA-256 is $got, and this action was made for \
$digest. Nothing of it was run. Check the mirror or the proxy, or pin another commit of the action"
    to_cache
fi

chmod 700 "$binary"
limited 10 "$binary" --version || fail "nuget-login can't be run from $private ($said): are programs \
forbidden there (noexec)? Install it elsewhere and name it in the input \`binary\`"
[ "$said" = "nuget-login $version" ] || fail "the release is not what release.txt says: it calls itself '$said', and \
this action needs nuget-login $version. Use another commit of the action"
login "$binary"
