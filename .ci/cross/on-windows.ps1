# on-windows.ps1 PROGRAM: what only a real Windows can show. Runs the program in a folder of its own, as a person would, and says
# what failed; nothing outside that folder is changed.
param([Parameter(Mandatory)][string]$Program)
$ErrorActionPreference = 'Stop'
$Program = (Resolve-Path $Program).Path
$folder = Join-Path $env:TEMP ("team-table-" + [guid]::NewGuid())
New-Item -ItemType Directory $folder | Out-Null
$env:USERPROFILE = $folder
$env:LOCALAPPDATA = Join-Path $folder 'local'
$env:NO_COLOR = '1'
$db = Join-Path $folder '.team-table\team_table.db'
$script:failed = 0

function Check([string]$title, [scriptblock]$what) {
    try { & $what; "ok $title" } catch { "FAILED ${title}: $_"; $script:failed = 1 }
}
function Says([string]$pattern, [string[]]$arguments) {
    $said = & $Program @arguments 2>&1 | Out-String
    if ($said -notmatch $pattern) { throw $said }
}
function Register([string]$name) {
    $call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"register","arguments":{"name":"' + $name + '"}}}'
    ($call | & $Program | Out-String)
}

Check 'starts' { Says '^team-table [0-9]' @('--version') }
Check 'demo' { Says 'its audit chain is whole' @('demo') }
Check 'serves on standard input and output' { if ((Register 'alice') -notmatch 'tt_') { throw 'no token' } }
Check 'doctor' { Says 'ok +permissions' @('doctor') }
Check 'the database is for this user, SYSTEM and Administrators only' {
    $who = (Get-Acl $db).Access | ForEach-Object { $_.IdentityReference.Translate([Security.Principal.SecurityIdentifier]).Value }
    $me = [Security.Principal.WindowsIdentity]::GetCurrent().User.Value
    $others = $who | Where-Object { $_ -notin @($me, 'S-1-5-18', 'S-1-5-32-544') }
    if ($others) { throw "also: $others" }
}
Check 'a cache that others can write to is not used' {
    $cache = Get-ChildItem -Recurse -Directory $env:LOCALAPPDATA -Filter policy-cache | Select-Object -First 1
    icacls $cache.FullName /grant '*S-1-1-0:(OI)(CI)F' | Out-Null
    Says 'by others' @('policy', 'list', '--log', 'warn')
}
Check 'a policy command locks and replaces the set file' { Says 'decides' @('policy', 'enable', 'rate-limit') }
Check 'a set file that another program reads is replaced' {
    $set = Join-Path $folder '.team-table\policies\policy-set.toml'
    $reader = [IO.File]::Open($set, 'Open', 'Read', 'ReadWrite,Delete')
    try { Says 'is off' @('policy', 'disable', 'rate-limit') } finally { $reader.Close() }
}
Check 'a module name that leaves the folder is refused' {
    Set-Content (Join-Path $folder 'bad.toml') "[[policy]]`nname = `"x`"`nmodule = `"C:evil.wasm`"`n"
    $bad = Join-Path $folder 'bad'; New-Item -ItemType Directory $bad | Out-Null
    Copy-Item (Join-Path $folder 'bad.toml') (Join-Path $bad 'policy-set.toml')
    Says 'must be a file name' @('policy', 'list', '--policies', $bad)
}
Check "a dead daemon's lease is free at once" {
    $daemon = Start-Process $Program -ArgumentList 'poll alice' -PassThru -WindowStyle Hidden
    Start-Sleep 3
    $daemon.Kill(); $daemon.WaitForExit()
    Says '' @('poll', 'alice', '--once')
    if ($LASTEXITCODE -ne 0) { throw "status $LASTEXITCODE" }
}
Check 'a closed pipe is no failure' { & $Program policy list | Select-Object -First 1 | Out-Null }
Check 'setup can be tried' { Says '.' @('setup', '--dry-run') }
Remove-Item -Recurse -Force $folder
exit $script:failed
