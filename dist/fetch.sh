#!/bin/sh
# Downloads the nuget-login that release.txt names, checks its SHA-256, and runs it. For Linux and macOS: plain POSIX
# shell, for dash, bash and busybox.
#
# The program that runs is always a private copy that was checked in this step, even if it comes from the tool cache,
# which other jobs can write to. docs/troubleshooting-download.md has a section for each call of `fail`.
#
# action.yml sets ACTION_BINARY, ACTION_MIRROR and ACTION_INSTALL_ONLY, which can be empty, and the INPUT_* variables
# that the program reads.
set -eu
LC_ALL=C
export LC_ALL
umask 077

here=${0%/*}
releases=https://github.com/org/nuget-login/releases/download
documentation=https://github.com/org/nuget-login/blob
largest=16384 # KiB of an asset; a release has less than 3,000
private='' busy='' job='' watcher='' reported='' note='' version=''

# Ends the step, also after a signal: no process and no file is left behind, and each failure has an annotation.
finish() {
    trap '' INT TERM
    trap - EXIT
    if [ -n "$busy" ]; then
        # `$!` can be a process that is not in a variable yet. PROF is a signal that neither a shell nor a tool handles:
        # a shell's background process ignores INT, and can lose a signal while it is still a copy of the shell.
        for process in $job $watcher ${!-}; do kill -s PROF "$process" || true; done
        wait || wait || true # the first one can end with the signal that started this
    fi 2>/dev/null
    [ -z "$private" ] || rm -rf "$private"
    if [ "$1" != 0 ] && [ -z "$reported" ] && [ "$1" -le 128 ]; then
        note="fetch.sh ended with exit code $1"
        report unexpected-failure "the program was not started: an unexpected error occurred" \
            "read the error in the log of this step" \
            "run the job again, and report the error if it occurs again"
        set -- 1
    fi
    exit "$1"
}
trap 'finish $?' EXIT
trap 'finish 130' INT
trap 'finish 143' TERM

# Prints a failure: an annotation with the fact and the fixes, and the output of a tool and a link as plain lines.
# A path, an input or the output of a tool cannot act as a command of their own: control characters are replaced, and in
# an annotation the runner's escape character is escaped. In a plain line, the runner reads `##[` as a command.
report() { # anchor fact fix …
    case $version in '' | *[!0-9A-Za-z.+-]*) docs=main ;; *) docs=v$version ;; esac
    docs=$documentation/$docs/docs/troubleshooting-download.md#$1
    text=$(one_line "$2" | sed 's/%/%25/g')
    shift 2
    for fix in "$@"; do text="$text%0Afix: $(one_line "$fix" | sed 's/%/%25/g')"; done
    printf '::error title=NuGet login failed::%s\n' "$text"
    [ -z "$note" ] || printf 'note: %s\n' "$(one_line "$note" | tr '#' ' ')"
    printf 'docs: %s\n' "$docs"
    reported=1
}

fail() { # anchor fact fix …
    report "$@"
    exit 1
}

one_line() {
    printf %s "$1" | tr '\000-\037\177' ' '
}

# Runs a command with a time limit; `said` is its output, on one line. The command runs in the background: a shell runs
# a trap only after a command in the foreground has ended, but at once during `wait`.
limited() { # seconds command …
    seconds=$1 said='' code=0
    shift
    # The first byte allocates a block, so that a message about a full disk can be written.
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
    [ "$code" != 143 ] || said="${said}${said:+ }timed out after $seconds seconds"
    return "$code"
}

# Runs the login; `code` is its exit code. Not by `exec`: the private copy has to be removed afterwards.
login() { # program
    reported=1 code=0 busy=1
    "$1" &
    job=$!
    wait "$job" || code=$?
    busy=
}

# Adds the folder of the program to the PATH of later steps, instead of a login. The folder remains until the job ends.
install_only() { # program
    limited 10 "$1" --version || cannot_run
    if [ "$said" != "nuget-login $version" ]; then
        note="nuget-login --version printed \"$said\""
        fail release-version "the downloaded program is not nuget-login $version" \
            "use another version of the action"
    fi
    rm -f "$private/said"
    {
        printf 'installed=%s\n' "$1" >>"${GITHUB_OUTPUT:-}" && printf '%s\n' "$private" >>"${GITHUB_PATH:-}"
    } 2>/dev/null ||
        fail runner-files "the files in GITHUB_OUTPUT and GITHUB_PATH cannot be written" \
            "use \"install-only\" only in a job of GitHub Actions" \
            "free disk space on the runner"
    private=
    printf 'nuget-login %s is on the PATH of later steps, in %s.\n' "$version" "$(one_line "${1%/*}" | tr '#' ' ')"
    exit 0
}

cannot_run() {
    note=$said
    fail cannot-be-run "nuget-login cannot be run from $private" \
        "allow programs in $temp: mount it without noexec" \
        "or install nuget-login $version in another folder and set the input \"binary\" to its path"
}

# Which release, and which asset.
case ${RUNNER_OS:-$(uname -s)}-${RUNNER_ARCH:-$(uname -m)} in
Linux-X64 | Linux-x86_64 | Linux-amd64) target=x86_64-unknown-linux-musl ;;
Linux-ARM64 | Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-musl ;;
macOS-X64 | Darwin-x86_64) target=x86_64-apple-darwin ;;
macOS-ARM64 | Darwin-arm64) target=aarch64-apple-darwin ;;
*) target= ;;
esac
asset='' digest='' named=0
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

# The SHA-256 of a file, in lower case. openssl takes a quarter of the time, but not every configuration lets it.
if command -v sha256sum >/dev/null 2>&1; then
    sha256_line() { sha256sum <"$1"; }
elif command -v shasum >/dev/null 2>&1; then
    sha256_line() { shasum -a 256 <"$1"; }
elif command -v openssl >/dev/null 2>&1; then
    sha256_line() { openssl dgst -sha256 -r <"$1"; }
else
    fail no-sha-256-tool "a SHA-256 cannot be checked: sha256sum, shasum and openssl are missing" \
        "install sha256sum, shasum or openssl on the runner"
fi
sha256() { # file; sets `got`
    got=$(openssl dgst -sha256 -r <"$1" 2>/dev/null) || got=$(sha256_line "$1")
    got=${got%% *}
}

# What `install-only` excludes.
case ${ACTION_INSTALL_ONLY:-} in
'' | false | False | FALSE) install_only= ;;
true | True | TRUE) install_only=1 ;;
*)
    fail install-only-value "the input \"install-only\" is \"$ACTION_INSTALL_ONLY\"" \
        "set \"install-only\" to true or false"
    ;;
esac
if [ -n "$install_only" ]; then
    others=
    [ -z "${INPUT_TOKEN_SERVICE_URL:-}" ] || others="$others, token-service-url"
    [ -z "${INPUT_SOURCE:-}" ] || others="$others, source"
    [ -z "${INPUT_AUDIENCE:-}" ] || others="$others, audience"
    case ${INPUT_TIMEOUT_SECONDS:-} in '' | 120) ;; *) others="$others, timeout-seconds" ;; esac
    case ${INPUT_CHECK_ONLY:-} in '' | false | False | FALSE) ;; *) others="$others, check-only" ;; esac
    [ -z "${INPUT_PACKAGE:-}" ] || others="$others, package"
    case ${INPUT_EXPORT_ENV:-} in '' | false | False | FALSE) ;; *) others="$others, export-env" ;; esac
    others=${others#, }
    [ -z "$others" ] ||
        fail install-only-and-other-inputs "the input \"install-only\" cannot be combined with: $others" \
            "remove the other inputs: with \"install-only\" the step does not log in" \
            "or remove \"install-only\" to log in in this step"
fi

temp=${RUNNER_TEMP:-${TMPDIR:-/tmp}}
case $temp in /*) ;; *) temp=$PWD/$temp ;; esac
# `private` is set before the folder exists, so that it is removed after a signal; and `mkdir` runs in the background,
# since a bash that gets a signal can end before it runs a command in the foreground.
create_private() { # path
    case $1 in *"$line_break"*) return 1 ;; esac
    [ ! -e "$1" ] && [ ! -L "$1" ] || return 1
    private=$1 busy=1 code=0
    mkdir "$private" 2>/dev/null &
    wait "$!" || code=$?
    busy=
    [ "$code" = 0 ] || private=
    return "$code"
}
line_break='
'
name=$temp/nuget-login${install_only:+-bin}
create_private "$name.$$" ||
    { random=$(mktemp -u "$name.XXXXXX" 2>/dev/null) && create_private "$random"; } ||
    fail no-private-folder "a private folder cannot be created in $temp" \
        "free disk space on the runner" \
        "make $temp writable for the runner's user"

# A program that is installed already.
if [ -n "${ACTION_BINARY:-}" ]; then
    binary=$ACTION_BINARY
    case $binary in
    /*) ;;
    *)
        fail binary-not-absolute "the input \"binary\" is \"$binary\", which is not an absolute path" \
            "set \"binary\" to the absolute path of nuget-login $version" \
            "or remove \"binary\" to download nuget-login $version"
        ;;
    esac
    [ -f "$binary" ] ||
        fail binary-not-found "the input \"binary\" is \"$binary\", which is not a file" \
            "install nuget-login $version at this path in an earlier step" \
            "or remove \"binary\" to download nuget-login $version"
    if ! limited 10 "$binary" --version; then
        note=$said
        fail binary-cannot-be-run "the input \"binary\" is \"$binary\", which cannot be run" \
            "make the file executable with chmod +x" \
            "or install nuget-login $version for this operating system and architecture at this path" \
            "or remove \"binary\" to download nuget-login $version"
    fi
    if [ "$said" != "nuget-login $version" ]; then
        note="--version printed \"$said\""
        fail binary-version "the input \"binary\" is \"$binary\", which is not nuget-login $version" \
            "install nuget-login $version at this path" \
            "or use the version of the action that belongs to this program" \
            "or remove \"binary\" to download nuget-login $version"
    fi
    sha256 "$binary"
    printf '::notice title=NuGet login::%s\n' "$(one_line "Using $binary, SHA-256 $got" | sed 's/%/%25/g')"
    if [ -n "$install_only" ]; then
        ln -s "$binary" "$private/nuget-login"
        install_only "$private/nuget-login"
    fi
    login "$binary"
    exit "$code"
fi

if [ -z "$target" ]; then
    system="${RUNNER_OS:-$(uname -s)} ${RUNNER_ARCH:-$(uname -m)}"
    fail no-release-for-this-system "nuget-login has no release for $system" \
        "run the job on Linux, macOS or Windows, on x64 or arm64" \
        "or build nuget-login $version from source and set the input \"binary\" to its path"
fi
[ "$named" -gt 0 ] ||
    fail no-release-in-this-commit "this commit of the action has no release for $target" \
        "use a released version of the action" \
        "or build nuget-login $version from source and set the input \"binary\" to its path"
case $version in '' | *[!0-9A-Za-z.+-]*) digest='' ;; esac
[ "$named-$asset-${#digest}" = "1-nuget-login-$target-64" ] ||
    fail no-sha-256-in-this-commit "dist/release.txt of this action has no valid SHA-256 for $target" \
        "use another version of the action"

binary=$private/nuget-login
cache=${RUNNER_TOOL_CACHE:+$RUNNER_TOOL_CACHE/nuget-login/$version/$target}

# Every job can write to the cache. A file that is not a regular one is ignored, and the digest of the copy decides. The
# file can be replaced at any time, so that time and size are limited: a named pipe has no end.
copy_from_cache() {
    limit_size
    exec install -m 700 "$cache/nuget-login" "$binary"
}

from_cache() {
    [ -n "$cache" ] && [ -f "$cache/nuget-login" ] && [ ! -L "$cache/nuget-login" ] || return 1
    if limited 20 copy_from_cache; then
        sha256 "$binary"
        [ "$got" != "$digest" ] || return 0
    fi
    rm -f "$binary"
    printf 'The copy of nuget-login in the tool cache is not the released one and is ignored.\n'
    return 1
}

# No file that this process writes becomes larger than a release. The write fails, without a signal.
limit_size() {
    trap '' XFSZ
    # shellcheck disable=SC3045 # not POSIX, but every sh has it
    ulimit -f $((largest * 2)) 2>/dev/null || true
}

# Keeps the program for later jobs: the whole file or nothing. A cache that cannot be written is not used.
#
# Other users of the cache can replace a folder or a file by a link at any time, and nothing is written through a link:
# each folder is created and entered from its parent, and its real path is compared (by a program, because bash answers
# from memory). The new file is opened once, with O_EXCL (`set -C`), under an unpredictable name. They can still move or
# replace the files in the cache, which is why each use checks a private copy.
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
        # Not into a folder that a link of this name points to: -T in GNU and busybox, -h in macOS.
        cat "$binary" >"$new" && { mv -fT "$new" nuget-login || mv -fh "$new" nuget-login; } || rm -f "$new"
    ) >/dev/null 2>&1 || true
}

# The tool that downloads.
downloader() {
    without_tokens
    if command -v curl >/dev/null 2>&1; then
        echo curl
    elif ! command -v wget >/dev/null 2>&1; then
        echo none
    elif wget --version 2>/dev/null | grep -q 'GNU Wget'; then
        echo wget
    else
        echo busybox
    fi
}

# No other program gets the tokens, and no core file contains them.
without_tokens() {
    unset ACTIONS_ID_TOKEN_REQUEST_TOKEN ACTIONS_RUNTIME_TOKEN
    # shellcheck disable=SC3045 # not POSIX, but every sh has it
    ulimit -c 0 2>/dev/null || true
}

# One attempt. Its subshell becomes the tool, so that a signal reaches the tool. No configuration file and no
# credentials are read. The digest protects the bytes, so that a tool without a choice of protocols (wget) is good
# enough.
download() { # url
    without_tokens
    limit_size
    protocol='=https' redirects=5
    case $1 in
    http://*)
        # A mirror on this machine: no proxy can reach it.
        protocol='=http' redirects=0
        unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
        ;;
    esac
    # wget reads lower case only.
    https_proxy=${https_proxy:-${HTTPS_PROXY:-}}
    no_proxy=${no_proxy:-${NO_PROXY:-}}
    case $tool in
    curl)
        exec curl -q --fail --location --max-redirs "$redirects" --silent --show-error --proto "$protocol" \
            --proto-redir '=https' --tlsv1.2 --connect-timeout 10 --max-time 60 --max-filesize $((largest * 1024)) \
            --output "$binary" -- "$1"
        ;;
    wget)
        export https_proxy no_proxy
        exec wget --no-config --no-netrc --no-hsts --no-verbose --tries=1 --timeout=20 \
            --max-redirect="$redirects" --output-document="$binary" -- "$1"
        ;;
    *) exec wget -q -O "$binary" "$1" ;; # without -T, on which busybox 1.35 crashes
    esac
}

from_release() {
    base=${ACTION_MIRROR:-$releases}
    case $base in
    *[!A-Za-z0-9:/._~%+-]*) base= ;;
    https://?*) ;;
    http://127.0.0.1[:/]* | http://localhost[:/]* | http://127.0.0.1 | http://localhost) ;;
    *) base= ;;
    esac
    if [ -z "$base" ]; then
        shown=$ACTION_MIRROR
        case $shown in *@*) shown='***' ;; esac # it can contain a password
        shown=${shown%%[?#]*}
        fail mirror-url "the input \"mirror\" is \"$shown\", which is not an allowed URL" \
            "set \"mirror\" to an https URL without user name, password, query and spaces" \
            "use http only for a mirror on 127.0.0.1 or localhost"
    fi
    url=${base%/}/v$version/$asset
    tool=$(downloader)
    [ "$tool" != none ] ||
        fail curl-and-wget-are-missing "nuget-login cannot be downloaded: curl and wget are missing" \
            "install curl or wget on the runner" \
            "or install nuget-login $version and set the input \"binary\" to its path"
    case $tool-$base in busybox-https:*)
        [ -z "${https_proxy:-}${HTTPS_PROXY:-}" ] ||
            fail busybox-wget-and-a-proxy "busybox wget cannot use the proxy in https_proxy" \
                "install curl on the runner"
        ;;
    esac
    for pause in 1 3 end; do
        note=''
        limited 65 download "$url" && return
        case $said in
        *'returned error: 404'* | *'ERROR 404'* | *'HTTP/1.'[01]' 404'*) code=404 ;;
        *'error: 408'* | *'ERROR 408'* | *'HTTP/1.'[01]' 408'* | *'response 408'* | *'HTTP code 408'*) ;; # temporary
        *'error: 429'* | *'ERROR 429'* | *'HTTP/1.'[01]' 429'* | *'response 429'* | *'HTTP code 429'*) ;; # temporary
        *'error: 4'* | *'ERROR 4'* | *'HTTP/1.'[01]' 4'*) code=refused ;;
        *'tunnel failed, response 4'* | *'HTTP code 4'*' from proxy'* | *'tunneling failed: Forbidden'*) code=refused ;;
        *'(60)'* | *'cannot verify'*) code=certificate ;;
        *'(63)'*) code=large ;;
        *'(23)'* | *'No space'* | *'File too large'* | *'short write'*)
            code=23
            [ "$(wc -c <"$binary")" -lt $((largest * 1024)) ] || code=large
            ;;
        esac
        note=$said
        # Some tools print the proxy's password.
        case ${https_proxy:-}${HTTPS_PROXY:-}${http_proxy:-}${HTTP_PROXY:-}${all_proxy:-}${ALL_PROXY:-} in
        *@*) note='the message of the download tool is hidden, because the proxy has a password' ;;
        esac
        case $code in
        404)
            [ -n "${ACTION_MIRROR:-}" ] ||
                fail asset-not-found "$url does not exist (404)" \
                    "use another version of the action: this release was withdrawn"
            fail asset-not-in-the-mirror "$url does not exist in the mirror (404)" \
                "copy the assets of release v$version to the mirror" \
                "or remove the input \"mirror\" to download from GitHub"
            ;;
        refused)
            fail access-denied "access to $url is denied" \
                "allow this URL in the proxy or firewall of the runner" \
                "or make the mirror readable without credentials: the action sends none"
            ;;
        certificate)
            fail certificate-not-trusted "the certificate of $url is not trusted" \
                "add your company's certificate authority to the certificate store of the runner"
            ;;
        large)
            fail larger-than-any-release "$url is larger than any release" \
                "check the mirror and the proxy: a release has at most 16 MiB"
            ;;
        23)
            fail cannot-be-stored "$url cannot be stored in $private" \
                "free disk space on the runner"
            ;;
        esac
        [ "$pause" = end ] || limited 10 sleep "$pause"
    done
    fail cannot-be-downloaded "$url cannot be downloaded" \
        "allow this runner to reach the URL" \
        "or set https_proxy, if the runner needs a proxy" \
        "or run the job again, if the service is unavailable"
}

if ! from_cache; then
    from_release
    sha256 "$binary"
    [ "$got" = "$digest" ] ||
        fail not-the-released-file "$url is not the released file: its SHA-256 is $got, not $digest" \
            "remove the proxy or the mirror that changes the file" \
            "or copy the assets of release v$version to the mirror again" \
            "or report a vulnerability, if neither a proxy nor a mirror is used"
    chmod 700 "$binary"
    to_cache
fi

[ -z "$install_only" ] || install_only "$binary"
login "$binary"
# The digest was right, so that the version is. These codes can mean that the system cannot run the program: a shell
# returns them, and some shells read a file for another processor as a script.
case $code in 2 | 126 | 127)
    ended=$code
    limited 10 "$binary" --version || cannot_run
    code=$ended
    ;;
esac
[ "$code" = 0 ] || exit "$code"
