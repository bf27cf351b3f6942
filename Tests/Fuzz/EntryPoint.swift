import Glibc

/// The target that the environment names; libFuzzer's own options stand on the command line.
private let target: FuzzTarget = {
    guard let name = getenv("BURST_FUZZ").map({ String(cString: $0) }), let target = FuzzTarget.named(name) else {
        fatalError("BURST_FUZZ has to name one of: \(FuzzTarget.all.map(\.name).joined(separator: " "))")
    }
    return target
}()

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    target.check(Array(UnsafeBufferPointer(start: data, count: count)))
    return 0
}

/// What libFuzzer calls first. With BURST_FUZZ=list the targets' names are printed; with BURST_FUZZ_SEEDS the target's
/// seeds
/// are written into that folder; both end there.
@_cdecl("LLVMFuzzerInitialize")
func initialize(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>
) -> CInt {
    if getenv("BURST_FUZZ").map({ String(cString: $0) }) == "list" {
        for target in FuzzTarget.all { puts(target.name) }
        exit(0)
    }
    guard let folder = getenv("BURST_FUZZ_SEEDS").map({ String(cString: $0) }) else { return 0 }
    for (index, seed) in target.seeds().enumerated() {
        guard let file = fopen("\(folder)/seed-\(index)", "wb") else { fatalError("cannot write below \(folder)") }
        fwrite(seed, 1, seed.count, file)
        fclose(file)
    }
    exit(0)
}
