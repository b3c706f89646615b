//! temp
use sandbox_linux::*; use sandbox_policy::*; use std::sync::{Arc,mpsc};
fn main(){
 let cwd=AbsolutePath::new(std::env::current_dir().unwrap()).unwrap();
 let policy=Policy::restrictive().allow_write(cwd.as_path()).unwrap();
 let home=std::env::var_os("HOME").map(|h|AbsolutePath::new(h).unwrap());
 let t0=std::time::Instant::now();
 let facts=probe(&policy.filesystem,&cwd,home.as_ref()).unwrap();
 let plan=lower(&policy,&facts,Endpoints::standard()).unwrap();
 if std::env::var_os("SHOW").is_some(){eprint!("{plan}");}
 let prepared=Arc::new(Prepared::new(plan).unwrap());
 let t1=std::time::Instant::now();
 let argv:Vec<_>=std::env::args_os().skip(1).collect();
 let n:usize=std::env::var("N").ok().and_then(|n|n.parse().ok()).unwrap_or(1);
 let mut times=vec![];
 for _ in 0..n {
 let t=std::time::Instant::now();
 let (tx,rx)=mpsc::channel();
 let r=launch(prepared.clone(),CommandSpec{candidates:candidates(&argv[0],&std::env::var_os("PATH").unwrap()),argv:argv.clone(),environment:std::env::vars_os().collect(),working_directory:cwd.clone(),streams:[Stream::Inherited,Stream::Inherited,Stream::Inherited]},move |e|{tx.send(e).unwrap();});
 match r { Err(e)=>{eprintln!("error: {e}: {:?} {:?}", std::error::Error::source(&e).map(|s|s.to_string()), e.hint()); std::process::exit(125)}
  Ok(r)=>{ let e=rx.recv().unwrap(); times.push(t.elapsed()); if n==1 {eprintln!("event {e:?} prep {:?} run {:?}", t1-t0, t.elapsed());} drop(r);} }
 }
 times.sort(); if n>1 {eprintln!("min {:?} med {:?} prep {:?}", times[0], times[n/2], t1-t0);}
}
