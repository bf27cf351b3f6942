import BurstSteps
import Glibc

// steps-probe FOLDER UID GID USER SCRIPT: a daemon in small. Starts one step, its files all below FOLDER, says so, and
// waits until it is killed. Without a script: adopts the step that another one started, and says how it ended.
//
// steps-probe --figure COUNT AT-ONCE FOLDER UID GID USER: how many steps a second.

func fail(_ text: String) -> Never {
    print("steps-probe: \(text)")
    exit(1)
}

func order(_ jobID: UInt32, _ words: ArraySlice<String>, script: String) -> StepOrder {
    let words = Array(words)
    guard words.count >= 4, let uid = UInt32(words[1]), let gid = UInt32(words[2]) else { fail("too few words") }
    return StepOrder(
        jobID: jobID, uid: uid, gid: gid, userName: words[3], workDir: "/", script: .text(Array(script.utf8)),
        stdout: words[0] + "/home/\(jobID).out", environment: ["PATH=/usr/bin:/bin", "BURST_TEST=\(words[0])"],
        killWaitSeconds: 1, folder: words[0] + "/jobs/\(jobID)")
}

let words = CommandLine.arguments
let own = words[0].split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
let isFigure = words.count > 3 && words[1] == "--figure"
guard words.count > (isFigure ? 7 : 4) else { fail("too few words") }
let folder = words[isFigure ? 4 : 1]
do {
    let runner = try ProcessSteps(program: own + "/burst-stepd", spool: folder + "/spool")
    if isFigure {
        guard let count = UInt32(words[2]), let atOnce = UInt32(words[3]) else { fail("COUNT and AT-ONCE are numbers") }
        let clock = ContinuousClock()
        let began = clock.now
        var next: UInt32 = 1
        var ended: UInt32 = 0
        var good = 0
        var starting = Duration.zero
        func startNext() throws {
            let began = clock.now
            try runner.start(order(next, words[4...], script: "#!/bin/sh\nexit 0\n"))
            starting += clock.now - began
            next += 1
        }
        while next <= min(atOnce, count) { try startNext() }
        for await ending in runner.endings {
            if case .ended(let result) = ending.end, result.exitCode == 0, result.signal == 0 { good += 1 }
            ended += 1
            if next <= count { try startNext() }
            if ended == count { runner.stop() }
        }
        let seconds = (clock.now - began) / .seconds(1)
        print(
            "\(count) steps, \(atOnce) at once: \(Int(Double(count) / seconds)) per second, \(good) ended well,"
                + " \(Int(starting / .microseconds(1)) / Int(count)) µs in start()")
    } else if words.count > 5 {
        try runner.start(order(1, words[1...], script: words[5]))
        print("started")
        fflush(nil)
        while true { pause() }
    } else {
        print("\(runner.adopt(jobID: 1, folder: folder + "/jobs/1"))")
        for await ending in runner.endings {
            print("\(ending.end)")
            runner.stop()
        }
    }
} catch {
    fail("\(error)")
}
