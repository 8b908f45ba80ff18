import asc from "assemblyscript/asc";
const t=performance.now();
const N=12, ids=[...Array(N).keys()];
const src=`
export function chain(turns: i32, x: i32, y: i32): i32 {
  for (let i = 0; i < turns; i++) { ${"x += y; y += x; ".repeat(16)} }
  return x;
}
`+[6,8,10,11,12,13,14].map(N=>{const ids=[...Array(N).keys()];return `
export function madd${N}(turns: i32, factor: f32, term: f32): f32 {
  const f = f32x4.splat(factor), t = f32x4.splat(term);
  ${ids.map(i=>`let a${i} = f32x4.splat(<f32>${i});`).join(" ")}
  for (let i = 0; i < turns; i++) { ${(ids.map(i=>`a${i} = f32x4.add(f32x4.mul(a${i}, f), t);`).join(" ")).repeat(8)} }
  return f32x4.extract_lane(${ids.slice(1).reduce((s,i)=>`f32x4.add(${s}, a${i})`,"a0")}, 0);
}`}).join("")+[4,5,6].map(N=>{const ids=[...Array(N).keys()];return `
export function sep${N}(turns: i32, factor: f32, term: f32): f32 {
  const f = f32x4.splat(factor), t = f32x4.splat(term);
  ${ids.map(i=>`let a${i} = f32x4.splat(<f32>${i}), b${i} = f32x4.splat(<f32>${i});`).join(" ")}
  for (let i = 0; i < turns; i++) { ${(ids.map(i=>`a${i} = f32x4.mul(a${i}, f);b${i} = f32x4.add(b${i}, t);`).join(" ")).repeat(8)} }
  return f32x4.extract_lane(${ids.slice(1).reduce((s,i)=>`f32x4.add(${s}, f32x4.add(a${i},b${i}))`,"f32x4.add(a0,b0)")}, 0);
}`}).join("");
const r=await asc.compileString({"loops.ts":src},{optimizeLevel:3,runtime:"stub",noAssert:true,enable:["simd"]}).catch(e=>({error:e}));
console.log(r.error, String(r.stderr).slice(0,300), r.binary?.length, performance.now()-t);
const e=new WebAssembly.Instance(new WebAssembly.Module(r.binary)).exports;
const best=(f)=>{let b=1e9;const end=performance.now()+300;while(performance.now()<end){const s=performance.now();for(let i=0;i<4;i++)f();b=Math.min(b,(performance.now()-s)/4);}return b;};
console.log("GHz",2000*32/best(()=>e.chain(2000,1,1))/1e6);
for(const n of [6,8,10,11,12,13,14]) console.log("madd",n,(300*8*n*8)/best(()=>e["madd"+n](300,.5,1))/1e6);
for(const n of [4,5,6]) console.log("sep",n,(300*8*n*8)/best(()=>e["sep"+n](300,1,1))/1e6);
for(let r=0;r<8;r++){const c=[],s=[];const end=performance.now()+100;while(performance.now()<end){let t=performance.now();e.chain(4000,1,1);c.push(4000*32/(performance.now()-t)/1e6);t=performance.now();e.sep6(4000,1,1);s.push(4000*8*48/(performance.now()-t)/1e6);}
c.sort((a,b)=>a-b);s.sort((a,b)=>a-b);const q=(a,p)=>a[Math.floor(p*(a.length-1))].toFixed(3);console.log("clock",[0.1,.5,.9,1].map(p=>q(c,p)).join(" "),"sep6",[0.1,.5,.9,1].map(p=>q(s,p)).join(" "));}
