# Makes records.h5: what h5py writes and this program cannot. python make_records.py (numpy, h5py)
import numpy as np, h5py
n=300
dt=np.dtype([('t','<f8'),('i','<i8'),('y','<f4'),('s','S3')])
rec=np.zeros(n,dt); rec['t']=np.arange(n)*0.5; rec['i']=np.arange(n); rec['y']=1/(1+np.arange(n)); rec['i'][250]=2**53+1
with h5py.File('records.h5','w',libver='earliest') as f:
    f['plain']=rec
    f.create_dataset('packed',data=rec,compression='gzip',shuffle=True,chunks=(77,))
    f.create_dataset('lzf',data=rec,compression='lzf',chunks=(300,))
    f['half']=np.arange(n).astype('f2'); f['big']=np.arange(n).astype('>i4'); f['scalar']=3.0; f['text']=['a','b']
    f['map']=np.arange(3.0*n).reshape(n,3); f['cube']=np.zeros((2,3,4)); f['flag']=np.arange(n)%2==0; f['entry/t']=np.arange(n)*1.0
    f['loop']=h5py.SoftLink('/'); f['dead']=h5py.SoftLink('/nowhere')
    p=h5py.h5p.create(h5py.h5p.DATASET_CREATE); p.set_chunk((100,)); p.set_filter(32008, h5py.h5z.FLAG_OPTIONAL, (0,0))
    d=h5py.h5d.create(f.id,b'shuffled',h5py.h5t.NATIVE_DOUBLE,h5py.h5s.create_simple((100,)),p)
    d.write_direct_chunk((0,),b'\0'*100)
