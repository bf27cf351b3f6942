package import BurstEngine

/// Makes the calls of `burst_buffer.lua` that the engine asks for. Each call that was started is answered once, through
/// what the runner was made with; a call answered as killed or timed out has left no process behind.
package protocol HookRunner: Sendable {
    /// Returns at once, whatever the call does.
    func start(_ call: HookCall)
    /// Ends a call; one that is over already is left alone. The answer says `killed`, unless the call had just ended by
    /// itself.
    func kill(_ id: CallID)
    /// Ends all calls and returns when they are answered and nothing runs any more. Later calls are answered as killed.
    func stop() async
}
