-- The burst_buffer.lua of the scenarios (Tests/ReferenceTests/Scenarios): it writes down every call and answers as the
-- files below `home` say. Runs under Lua 5.1 and 5.4, with the arguments of Slurm 22.05 and of 26.05.
--
--   home/HOOK          the answer: "CODE MESSAGE", or "lua:CHUNK" whose values are the answer; no file: success
--   home/HOOK.times    so many times only, then success
--   home/HOOK.sleep    seconds that it takes
--   home/HOOK.gate     it waits as long as this file exists
--   home/pools.json    the pools, in place of the four below
--   home/calls         each call, a line: seconds, name, arguments
--   home/keep          while it exists, each script that a hook finds is copied to home/seen-JOB-HOOK
local home = "/srv/ref/ctl/"
local default_pools = '{"pools":[{"id":"nvme","quantity":10240,"granularity":1073741824},'
  .. '{"id":"pool1","quantity":1000,"granularity":1024},{"id":"pool2","quantity":5,"granularity":2},'
  .. '{"id":"pool4","quantity":25000,"granularity":1}]}'

local function content(name)
  local file = io.open(home .. name, "r")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

local function put(name, text, mode)
  local file = io.open(home .. name, mode)
  if file then
    file:write(text)
    file:close()
  end
end

local function quoted(value)
  if type(value) == "string" then
    return '"' .. value:gsub('[\\"]', "\\%0"):gsub("\n", "\\n") .. '"'
  elseif type(value) == "table" or type(value) == "userdata" then
    return "<job_info>"
  end
  return tostring(value)
end

local function note(name, ...)
  local words = {}
  for index = 1, select("#", ...) do words[index] = quoted((select(index, ...))) end
  -- One write each: calls of several jobs happen at once.
  put("calls", os.time() .. " " .. name .. "(" .. table.concat(words, ", ") .. ")\n", "a")
  if not content("keep") then return end
  for index = 1, select("#", ...) do
    local path = select(index, ...)
    local is_script = type(path) == "string"
      and (path:match("/script$") or path:match("/symbols$") or path:match("^/proc/%d+/fd/%d+$"))
    if is_script then
      local file = io.open(path, "r")
      local job = path:match("job%.(%d+)/") or tostring((...))
      if file then put("seen-" .. job .. "-" .. name, file:read("*a"), "w") end
      if file then file:close() end
    end
  end
end

-- What was wished for a hook, as a function; nil where nothing was.
local function wish(name)
  while content(name .. ".gate") do os.execute("sleep 0.1") end
  local seconds = content(name .. ".sleep")
  if seconds then os.execute("sleep " .. seconds) end
  local answer = content(name)
  if not answer then return nil end
  local times = tonumber(content(name .. ".times") or "")
  if times then
    if times < 1 then return nil end
    put(name .. ".times", string.format("%d", times - 1), "w")
  end
  if answer:sub(1, 4) == "lua:" then return assert((loadstring or load)(answer:sub(5))) end
  local code, message = answer:match("^(%-?%d+)%s?(.-)\n?$")
  if message == "" then message = nil end
  return function() return tonumber(code), message end
end

local function answer(name)
  local wished = wish(name)
  if wished then return wished() end
  return slurm.SUCCESS
end

local function hook(name, steered)
  return function(...)
    note(name, ...)
    return answer(steered or name)
  end
end

slurm_bb_job_process = hook("job_process")
slurm_bb_job_teardown = hook("job_teardown", "teardown")
slurm_bb_setup = hook("setup")
slurm_bb_data_in = hook("data_in")
slurm_bb_test_data_in = hook("test_data_in")
slurm_bb_real_size = hook("real_size")
slurm_bb_pre_run = hook("pre_run")
slurm_bb_post_run = hook("post_run")
slurm_bb_data_out = hook("data_out")
slurm_bb_test_data_out = hook("test_data_out")

function slurm_bb_pools(...)
  local wished = wish("pools")
  if wished then return wished() end
  return slurm.SUCCESS, content("pools.json") or default_pools
end

function slurm_bb_paths(job, script, path, ...)
  note("paths", job, script, path, ...)
  local file = io.open(path, "w")
  if file then
    file:write("BB_REF=yes\nBB_DIR=/mnt/bb/", tostring(job), "\n")
    file:close()
  end
  return answer("paths")
end

function slurm_bb_get_status(...)
  note("get_status", ...)
  local wished = wish("get_status")
  if wished then return wished() end
  local words = {}
  for index = 1, select("#", ...) do words[index] = tostring((select(index, ...))) end
  return slurm.SUCCESS, "burst buffer status, arguments: " .. table.concat(words, " ") .. "\nall targets up\n"
end
