# Downloads the nuget-login that release.txt names, checks its SHA-256, and runs it: what fetch.sh does, for Windows
# PowerShell 5.1, which every Windows runner has, and for PowerShell 7. Files are handled with .NET: cmdlets read
# brackets in a path as wildcards, and Get-FileHash is missing where the runner was started from PowerShell 7.
#
# The program that runs is always a private copy that was checked in this step, even if it comes from the tool cache,
# which other jobs can write to. docs/troubleshooting-download.md has a section for each call of Fail.
#
# action.yml sets ACTION_BINARY, ACTION_MIRROR and ACTION_INSTALL_ONLY, which can be empty, and the INPUT_* variables
# that the program reads.
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$releases = 'https://github.com/org/nuget-login/releases/download'
$documentation = 'https://github.com/org/nuget-login/blob'
$largest = 16MB # a release has less than 3
$version = ''
$private = $null # our own folder
$held = $null # the checked file, open so that it cannot be changed before it has run

# The runner reads UTF-8, which is not what a console of Windows writes.
$log = New-Object IO.StreamWriter ([Console]::OpenStandardOutput()), (New-Object Text.UTF8Encoding $false)
$log.AutoFlush = $true

function Get-OneLine([string] $text) { $text -replace '[\x00-\x1f\x7f]', ' ' }

# For an annotation: no control characters, and the runner's escape character is escaped.
function Get-Escaped([string] $text) { (Get-OneLine $text).Replace('%', '%25') }

# Repeats an action on a file for some seconds: a virus scanner opens a new file without sharing it.
function Invoke-WithRetry([scriptblock] $action) {
    $until = [DateTime]::UtcNow.AddSeconds(10)
    while ($true) {
        try { return (& $action) } catch {
            $cause = $_.Exception.GetBaseException()
            # Sharing violation and lock violation, as the two types of exception have them.
            $busy = ($cause.HResult -eq -2147024864) -or ($cause.HResult -eq -2147024863)
            if ($cause -is [ComponentModel.Win32Exception]) {
                $busy = ($cause.NativeErrorCode -eq 32) -or ($cause.NativeErrorCode -eq 33)
            }
            if (-not $busy -or [DateTime]::UtcNow -ge $until) { throw }
            Start-Sleep -Milliseconds 200
        }
    }
}

# Ends the step; nothing is left behind.
function Stop-Action([int] $code) {
    if ($held) { $held.Dispose() }
    $until = [DateTime]::UtcNow.AddSeconds(10)
    while ($private -and [IO.Directory]::Exists($private)) {
        # Whatever the reason is: the file of a program that has just ended cannot be deleted either.
        try { [IO.Directory]::Delete($private, $true) } catch {
            if ([DateTime]::UtcNow -ge $until) { break }
            Start-Sleep -Milliseconds 200
        }
    }
    exit $code
}

# Prints a failure, and ends the step: an annotation with the fact and the fixes, and the output of a tool and a link as
# plain lines, in which the runner reads `##[` as a command.
function Fail([string] $anchor, [string] $fact, [string[]] $fixes, [string] $note = '') {
    $release = if ($version -match '\A[0-9A-Za-z.+-]+\z') { "v$version" } else { 'main' }
    $lines = @(Get-Escaped $fact) + @($fixes | ForEach-Object { 'fix: ' + (Get-Escaped $_) })
    $log.WriteLine('::error title=NuGet login failed::' + ($lines -join '%0A'))
    if ($note) { $log.WriteLine('note: ' + (Get-OneLine $note).Replace('#', ' ')) }
    $log.WriteLine("docs: $documentation/$release/docs/troubleshooting-download.md#$anchor")
    Stop-Action 1
}

trap {
    Fail 'unexpected-failure' 'the program was not started: an unexpected error occurred' @(
        'read the error in the log of this step'
        'run the job again, and report the error if it occurs again'
    ) "fetch.ps1: $_"
}

function Get-Sha256([IO.Stream] $stream) {
    $sha = [Security.Cryptography.SHA256]::Create()
    try { [BitConverter]::ToString($sha.ComputeHash($stream)).Replace('-', '').ToLowerInvariant() }
    finally { $sha.Dispose() }
}

# Opens a file that others can read but not change while it is open.
function Open-File([string] $path) {
    Invoke-WithRetry { [IO.File]::Open($path, [IO.FileMode]::Open, [IO.FileAccess]::Read, [IO.FileShare]::Read) }
}

# Runs the program with the streams of this step; returns its exit code. Not by `&`, which reads brackets in a path as
# wildcards in Windows PowerShell, and could run another file than the checked one.
function Invoke-Program([string] $path) {
    $start = New-Object Diagnostics.ProcessStartInfo $path
    $start.UseShellExecute = $false
    $process = Invoke-WithRetry { [Diagnostics.Process]::Start($start) }
    $process.WaitForExit()
    $process.ExitCode
}

# Runs a tool with a time limit. Returns its output on one line, and its exit code, or the reason why there is none.
function Invoke-Tool([string] $path, [string] $arguments, [int] $seconds) {
    $result = @{ Said = ''; Code = -1 }
    try {
        $start = New-Object Diagnostics.ProcessStartInfo $path, $arguments
        $start.UseShellExecute = $false
        $start.RedirectStandardOutput = $true
        $start.RedirectStandardError = $true
        $process = Invoke-WithRetry { [Diagnostics.Process]::Start($start) }
        $outputs = $process.StandardOutput, $process.StandardError
        [Threading.Tasks.Task[]] $texts = $outputs[0].ReadToEndAsync(), $outputs[1].ReadToEndAsync()
        if (-not $process.WaitForExit($seconds * 1000)) {
            $process.Kill()
            [void] $process.WaitForExit(2000) # or its file could not be deleted
            $result.Said = "timed out after $seconds seconds"
        } elseif (-not [Threading.Tasks.Task]::WaitAll($texts, 5000)) {
            # A process that it started keeps the pipes open.
            $result.Said = 'the output does not end'
        } else {
            $result.Said = (Get-OneLine ($texts[0].Result + $texts[1].Result)).Trim()
            $result.Code = $process.ExitCode
        }
    } catch { $result.Said = [string] $_.Exception.GetBaseException().Message }
    $result
}

# Creates a folder that only this user, administrators and the system can use: inherited rights can let others write.
function New-PrivateFolder([string] $path) {
    $user = [Security.Principal.WindowsIdentity]::GetCurrent().User.Value
    $access = New-Object Security.AccessControl.DirectorySecurity
    $access.SetSecurityDescriptorSddlForm("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;$user)")
    $folder = New-Object IO.DirectoryInfo $path
    # .NET Framework and .NET have the same method in different places.
    if ($PSVersionTable.PSVersion.Major -ge 6) { [IO.FileSystemAclExtensions]::Create($folder, $access) }
    else { $folder.Create($access) }
}

# Adds the folder of the program to the PATH of later steps, instead of a login. The folder remains until the job ends.
function Install-Program([string] $path) {
    $ran = Invoke-Tool $path '--version' 10
    if ($ran.Code -ne 0) { Stop-CannotRun $ran.Said }
    if ($ran.Said -cne "nuget-login $version") {
        Fail 'release-version' "the downloaded program is not nuget-login $version" @(
            'use another version of the action'
        ) "nuget-login --version printed `"$($ran.Said)`""
    }
    try {
        $utf8 = New-Object Text.UTF8Encoding $false
        [IO.File]::AppendAllText($env:GITHUB_OUTPUT, "installed=$path`n", $utf8)
        [IO.File]::AppendAllText($env:GITHUB_PATH, "$private`n", $utf8)
    } catch {
        Fail 'runner-files' 'the files in GITHUB_OUTPUT and GITHUB_PATH cannot be written' @(
            'use "install-only" only in a job of GitHub Actions'
            'free disk space on the runner'
        ) "$_"
    }
    $shown = (Get-OneLine $private).Replace('#', ' ')
    $log.WriteLine("nuget-login $version is on the PATH of later steps, in $shown.")
    $script:private = $null
    Stop-Action 0
}

function Stop-CannotRun([string] $note) {
    Fail 'cannot-be-run' "nuget-login cannot be run from $private" @(
        "allow programs in $temp, for example in AppLocker or the virus scanner"
        "or install nuget-login $version in another folder and set the input `"binary`" to its path"
    ) $note
}

# Which release, and which asset.
$architecture = if ($env:RUNNER_ARCH) { $env:RUNNER_ARCH } else { $env:PROCESSOR_ARCHITECTURE }
$target = switch ($architecture) {
    'X64' { 'x86_64-pc-windows-msvc' }
    'AMD64' { 'x86_64-pc-windows-msvc' }
    'ARM64' { 'aarch64-pc-windows-msvc' }
    default { $null }
}
$asset = $null
$digest = $null
$named = 0
foreach ($line in [IO.File]::ReadAllLines([IO.Path]::Combine($PSScriptRoot, 'release.txt'))) {
    $words = @($line.Trim() -split '\s+')
    if ($words.Count -eq 2 -and $words[0] -ceq 'version') { $version = $words[1] }
    if ($target -and $words[0] -ceq $target) {
        $named++
        if ($words.Count -eq 3) { $asset = $words[1]; $digest = $words[2] }
    }
}

# What `install-only` excludes.
$isTrue = '\A(true|True|TRUE)\z'
$isFalse = '\A(|false|False|FALSE)\z'
$installOnly = "$env:ACTION_INSTALL_ONLY" -cmatch $isTrue
if (-not $installOnly -and "$env:ACTION_INSTALL_ONLY" -cnotmatch $isFalse) {
    Fail 'install-only-value' "the input `"install-only`" is `"$env:ACTION_INSTALL_ONLY`"" @(
        'set "install-only" to true or false'
    )
}
if ($installOnly) {
    $others = @(
        if ($env:INPUT_TOKEN_SERVICE_URL) { 'token-service-url' }
        if ($env:INPUT_SOURCE) { 'source' }
        if ($env:INPUT_AUDIENCE) { 'audience' }
        if ($env:INPUT_TIMEOUT_SECONDS -and $env:INPUT_TIMEOUT_SECONDS -cne '120') { 'timeout-seconds' }
        if ("$env:INPUT_CHECK_ONLY" -cnotmatch $isFalse) { 'check-only' }
        if ($env:INPUT_PACKAGE) { 'package' }
        if ("$env:INPUT_EXPORT_ENV" -cnotmatch $isFalse) { 'export-env' }
    ) -join ', '
    if ($others) {
        Fail 'install-only-and-other-inputs' "the input `"install-only`" cannot be combined with: $others" @(
            'remove the other inputs: with "install-only" the step does not log in'
            'or remove "install-only" to log in in this step'
        )
    }
}

$temp = if ($env:RUNNER_TEMP) { $env:RUNNER_TEMP } else { [IO.Path]::GetTempPath() }
$kind = if ($installOnly) { 'nuget-login-bin.' } else { 'nuget-login.' }
$private = [IO.Path]::Combine($temp, $kind + [Guid]::NewGuid().ToString('N'))
try { New-PrivateFolder $private } catch {
    Fail 'no-private-folder' "a private folder cannot be created in $temp" @(
        'free disk space on the runner'
        "make $temp writable for the runner's user"
    ) "$_"
}

# A program that is installed already.
if ($env:ACTION_BINARY) {
    $binary = $env:ACTION_BINARY
    if ($binary -notmatch '\A([A-Za-z]:[\\/]|\\\\)') {
        Fail 'binary-not-absolute' "the input `"binary`" is `"$binary`", which is not an absolute path" @(
            "set `"binary`" to the absolute path of nuget-login $version"
            "or remove `"binary`" to download nuget-login $version"
        )
    }
    if (-not [IO.File]::Exists($binary)) {
        Fail 'binary-not-found' "the input `"binary`" is `"$binary`", which is not a file" @(
            "install nuget-login $version at this path in an earlier step"
            "or remove `"binary`" to download nuget-login $version"
        )
    }
    $held = Open-File $binary
    $got = Get-Sha256 $held
    $ran = Invoke-Tool $binary '--version' 10
    if ($ran.Code -ne 0) {
        Fail 'binary-cannot-be-run' "the input `"binary`" is `"$binary`", which cannot be run" @(
            "install nuget-login $version for this operating system and architecture at this path"
            "or remove `"binary`" to download nuget-login $version"
        ) $ran.Said
    }
    if ($ran.Said -cne "nuget-login $version") {
        Fail 'binary-version' "the input `"binary`" is `"$binary`", which is not nuget-login $version" @(
            "install nuget-login $version at this path"
            'or use the version of the action that belongs to this program'
            "or remove `"binary`" to download nuget-login $version"
        ) "--version printed `"$($ran.Said)`""
    }
    $log.WriteLine('::notice title=NuGet login::' + (Get-Escaped "Using $binary, SHA-256 $got"))
    if ($installOnly) {
        # A copy: not every user can create a link.
        $copy = [IO.Path]::Combine($private, 'nuget-login.exe')
        Invoke-WithRetry { [IO.File]::Copy($binary, $copy) }
        Install-Program $copy
    }
    Stop-Action (Invoke-Program $binary)
}

if (-not $target) {
    $system = "Windows $architecture"
    Fail 'no-release-for-this-system' "nuget-login has no release for $system" @(
        'run the job on Linux, macOS or Windows, on x64 or arm64'
        "or build nuget-login $version from source and set the input `"binary`" to its path"
    )
}
if (-not $named) {
    Fail 'no-release-in-this-commit' "this commit of the action has no release for $target" @(
        'use a released version of the action'
        "or build nuget-login $version from source and set the input `"binary`" to its path"
    )
}
$valid = $version -match '\A[0-9A-Za-z.+-]+\z' -and $digest -cmatch '\A[0-9a-f]{64}\z'
if ($named -ne 1 -or $asset -cne "nuget-login-$target.exe" -or -not $valid) {
    Fail 'no-sha-256-in-this-commit' "dist/release.txt of this action has no valid SHA-256 for $target" @(
        'use another version of the action'
    )
}

$binary = [IO.Path]::Combine($private, 'nuget-login.exe')
$cached = $null
if ($env:RUNNER_TOOL_CACHE) {
    $cached = [IO.Path]::Combine($env:RUNNER_TOOL_CACHE, 'nuget-login', $version, $target, 'nuget-login.exe')
}

# Every job can write to the cache. A file that is not a regular one or too large is ignored, and the digest of the copy
# decides.
$got = $null
if ($cached -and [IO.File]::Exists($cached)) {
    try {
        $link = [IO.File]::GetAttributes($cached) -band [IO.FileAttributes]::ReparsePoint
        if (-not $link -and (New-Object IO.FileInfo $cached).Length -le $largest) {
            # Only its bytes, without attributes and streams.
            Invoke-WithRetry { [IO.File]::WriteAllBytes($binary, [IO.File]::ReadAllBytes($cached)) }
            $held = Open-File $binary
            $got = Get-Sha256 $held
        }
    } catch { $got = $null }
    if ($got -cne $digest) {
        $log.WriteLine('The copy of nuget-login in the tool cache is not the released one and is ignored.')
        if ($held) { $held.Dispose(); $held = $null }
        Invoke-WithRetry { [IO.File]::Delete($binary) }
    }
}

if ($got -cne $digest) {
    $base = if ($env:ACTION_MIRROR) { $env:ACTION_MIRROR.TrimEnd('/') } else { $releases }
    $allowed = '\A(https://[A-Za-z0-9]|http://(127\.0\.0\.1|localhost)(?=[:/]|\z))[A-Za-z0-9:/._~%+-]*\z'
    if ($base -cnotmatch $allowed) {
        $shown = if ($env:ACTION_MIRROR.Contains('@')) { '***' } else { $env:ACTION_MIRROR } # it can contain a password
        $shown = $shown -replace '(?s)[?#].*', ''
        Fail 'mirror-url' "the input `"mirror`" is `"$shown`", which is not an allowed URL" @(
            'set "mirror" to an https URL without user name, password, query and spaces'
            'use http only for a mirror on 127.0.0.1 or localhost'
        )
    }
    $url = "$base/v$version/$asset"
    $curl = [IO.Path]::Combine([Environment]::SystemDirectory, 'curl.exe')
    if (-not [IO.File]::Exists($curl)) {
        Fail 'curl-is-missing' "nuget-login cannot be downloaded: $curl is missing" @(
            'use a runner with Windows 10 1803, Windows Server 2019 or later'
            "or install nuget-login $version and set the input `"binary`" to its path"
        )
    }
    # A mirror on this machine: no proxy can reach it.
    $loopback = $base.StartsWith('http://', [StringComparison]::Ordinal)
    $protocol = if ($loopback) { '=http' } else { '=https' }
    $direct = if ($loopback) { '--noproxy "*" --max-redirs 0' } else { '--max-redirs 5' }
    # A revocation list is often out of reach behind a proxy that inspects TLS, and the digest protects the bytes.
    $arguments = "-q --fail --location --silent --show-error --proto $protocol --proto-redir =https --tlsv1.2 " +
        "--ssl-no-revoke --connect-timeout 10 --max-time 60 --max-filesize $largest $direct " +
        "--output `"$binary`" -- $url"
    # No downloader gets the tokens. (nuget-login needs the first one, and no program needs the second one.)
    $requestToken = $env:ACTIONS_ID_TOKEN_REQUEST_TOKEN
    $env:ACTIONS_ID_TOKEN_REQUEST_TOKEN = $null
    $env:ACTIONS_RUNTIME_TOKEN = $null
    foreach ($pause in 1, 3, 0) {
        $ran = Invoke-Tool $curl $arguments 65
        $code = $ran.Code
        $note = $ran.Said
        if ($code -eq 0) { break }
        $missing = $note -match 'error: 404\b'
        # 408 and 429 are temporary.
        $refused = $note -match '(error:|tunnel failed, response|HTTP code) 4(?!08|29)\d\d\b'
        # curl prints the proxy's password in some messages.
        if ("$env:https_proxy$env:http_proxy$env:all_proxy".Contains('@')) {
            $note = 'the message of the download tool is hidden, because the proxy has a password'
        }
        if ($missing -and -not $env:ACTION_MIRROR) {
            Fail 'asset-not-found' "$url does not exist (404)" @(
                'use another version of the action: this release was withdrawn'
            ) $note
        }
        if ($missing) {
            Fail 'asset-not-in-the-mirror' "$url does not exist in the mirror (404)" @(
                "copy the assets of release v$version to the mirror"
                'or remove the input "mirror" to download from GitHub'
            ) $note
        }
        if ($refused) {
            Fail 'access-denied' "access to $url is denied" @(
                'allow this URL in the proxy or firewall of the runner'
                'or make the mirror readable without credentials: the action sends none'
            ) $note
        }
        # 35 is a failed handshake, which can be temporary.
        if ($code -eq 60 -or ($code -eq 35 -and -not $pause)) {
            Fail 'certificate-not-trusted' "the certificate of $url is not trusted" @(
                "add your company's certificate authority to the certificate store of the runner"
            ) $note
        }
        if ($code -eq 63) {
            Fail 'larger-than-any-release' "$url is larger than any release" @(
                'check the mirror and the proxy: a release has at most 16 MiB'
            ) $note
        }
        if ($code -eq 23) {
            Fail 'cannot-be-stored' "$url cannot be stored in $private" @('free disk space on the runner') $note
        }
        if ($pause) { Start-Sleep -Seconds $pause }
    }
    $env:ACTIONS_ID_TOKEN_REQUEST_TOKEN = $requestToken
    if ($code -ne 0 -or -not [IO.File]::Exists($binary)) {
        Fail 'cannot-be-downloaded' "$url cannot be downloaded" @(
            'allow this runner to reach the URL'
            'or set https_proxy, if the runner needs a proxy'
            'or run the job again, if the service is unavailable'
        ) $note
    }
    $held = Open-File $binary
    $got = Get-Sha256 $held
    if ($got -cne $digest) {
        Fail 'not-the-released-file' "$url is not the released file: its SHA-256 is $got, not $digest" @(
            'remove the proxy or the mirror that changes the file'
            "or copy the assets of release v$version to the mirror again"
            'or report a vulnerability, if neither a proxy nor a mirror is used'
        )
    }
    # For later jobs. Nothing is written through a link, and a cache that cannot be written is not used.
    $new = $null
    try {
        if ($cached -and -not [IO.Directory]::Exists($cached)) {
            $folder = [IO.Path]::GetDirectoryName($cached)
            [void] [IO.Directory]::CreateDirectory($folder)
            foreach ($level in 1..3) {
                $link = [IO.File]::GetAttributes($folder) -band [IO.FileAttributes]::ReparsePoint
                if ($link) { throw "$folder is a link" }
                $folder = [IO.Path]::GetDirectoryName($folder)
            }
            $new = "$cached." + [Guid]::NewGuid().ToString('N')
            Invoke-WithRetry { [IO.File]::Copy($binary, $new) }
            Invoke-WithRetry { if ([IO.File]::Exists($cached)) { [IO.File]::Delete($cached) } }
            Invoke-WithRetry { [IO.File]::Move($new, $cached) }
        }
    } catch {
        if ($new) { try { [IO.File]::Delete($new) } catch { $null = $_ } }
    }
}

if ($installOnly) { Install-Program $binary }
# The digest was right, so that the version is.
try { $code = Invoke-Program $binary } catch { Stop-CannotRun ([string] $_.Exception.GetBaseException().Message) }
Stop-Action $code
