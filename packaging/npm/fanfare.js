#!/usr/bin/env node
// Runs the program that npm installed for this platform, and ends as it ends.
'use strict'

const { spawn } = require('node:child_process')

const name = `@fanfare/${process.platform}-${process.arch}`

function find() {
  try {
    return require.resolve(`${name}/bin/fanfare`)
  } catch {
    console.error(
      `fanfare: the package ${name} is not installed. There is one for Linux (with glibc) and macOS, on x64 and ` +
        'arm64; npm leaves it out with --omit=optional or --no-optional, and where node_modules was copied ' +
        'from another platform. Install fanfare again without those, or see docs/install.md for other ways.',
    )
    process.exit(1)
  }
}

const path = find()

// Heard before the program is there: whoever sees it serve may stop it. A terminal sends the first two to
// the program as well, which would take the second for "at once".
const terminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY)
for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP']) {
  const heard = terminal && (signal === 'SIGINT' || signal === 'SIGQUIT')
  process.on(signal, () => heard || program.kill(signal))
}

const program = spawn(path, process.argv.slice(2), { stdio: 'inherit' })

program.on('error', (error) => {
  console.error(`fanfare: ${name} cannot be started: ${error.message}`)
  process.exit(1)
})

program.on('exit', (code, signal) => {
  if (signal === null) process.exit(code)
  // Whoever waits for this process is to see the same end.
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
})
